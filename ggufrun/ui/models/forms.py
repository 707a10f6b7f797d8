"""The two forms of the tab, which never change while one types: what to look for, and what a plan pins."""

from typing import Final

from markupsafe import Markup

SEEK: Final = Markup("""
<form data-act="seek" class="seek" role="search" autocomplete="off">
<label for="seek-q">Find a model on the hub, by words or as owner/repo</label>
<div><input id="seek-q" name="q" type="search" maxlength="200" placeholder="ministral, or owner/repo:QUANT">
<button class="main">Search</button></div>
</form>""")

KNOBS: Final = Markup("""
<form data-act="knobs" class="knobs" id="knobs-form" autocomplete="off">
<label class="check"><input type="checkbox" name="mmproj" checked>
With the part that sees images, if there is one</label>
<details><summary>Plan with other settings, or for another machine</summary>
<div class="fields">
<label>Context, tokens <input name="context" inputmode="numeric" maxlength="12" placeholder="as large as fits"></label>
<label>KV cache <select name="kv_type"><option value="">best</option><option>f16</option><option>q8_0</option>
<option>q4_0</option></select></label>
<label>Layers on GPUs <input name="gpu_layers" maxlength="6" placeholder="auto"></label>
<label>Other GPUs <input name="gpu" maxlength="200" placeholder="this machine's; 24GiB,12GiB@1008; none"></label>
<label>Other RAM <input name="ram" maxlength="40" placeholder="this machine's; 64GiB"></label>
</div>
<div><button class="main">Plan</button> <button type="reset">As it is here</button></div>
</details>
</form>""")
