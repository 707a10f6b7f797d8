// Side by side: copying. A browser allows it only at once, so the text is there before the button is pressed.
(() => {
  const byHand = (text) => { // pages that come neither over https nor from this machine have no clipboard
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  };
  const copy = async (text) => {
    const button = document.getElementById("beside-copy");
    if (!text) return;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      byHand(text);
    }
    button.dataset.copied = "yes";
    setTimeout(() => delete button.dataset.copied, 1500);
  };
  window.ggufrunBeside = { copy };
})();
