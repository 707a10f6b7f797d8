// Counts when typing pauses, and has in the box what was written and attached in the chat that is open (ask.draft.js).
(() => {
  const PAUSE_MS = 400;
  const draft = window.ggufrunDraft;
  const box = () => document.querySelector("#ask textarea");
  const shown = () => document.querySelector("#context [data-chat]")?.dataset.chat ?? "";
  const address = () => new URLSearchParams(location.search).get("chat");
  let timer = 0;
  let chat = address() ? null : ""; // whose draft is in the box; null: of one that is still being opened
  let leaving = null; // while another chat is opened: what was in the box, as `here` has it
  let attached = []; // the files in the box, as Gradio has them
  let coming = []; // files that are on their way to the server: what they are called, and whose they are
  let wanted = null; // the files that are to be in the box, until Gradio has taken them
  let told = "", facts = { opens: 0, taken: [0, [], "", 0] }; // what the chat says of itself (ui/chat/facts.py)
  let opens = 0; // as many chats had been opened when `chat` was the one in the box

  const here = () => ({ text: box().value, files: wanted ?? attached });
  const paths = (files) => files.map((each) => each.path).join("\n");
  const write = (text) => {
    if (box().value === text) return;
    box().value = text;
    box().dispatchEvent(new Event("input", { bubbles: true }));
  };
  const put = (files) => {
    if (paths(here().files) === paths(files)) return;
    wanted = files;
    document.getElementById("draft-put").click(); // it asks for `files` below
    for (const each of document.querySelectorAll("#ask input[type=file]")) each.value = ""; // the same may come again
  };

  const say = (words) => {
    let line = document.getElementById("draft-said");
    if (!line && !words) return;
    if (!line) {
      line = document.createElement("p");
      line.id = "draft-said";
      line.setAttribute("role", "status");
      document.getElementById("below-ask").before(line);
    }
    line.textContent = words;
    line.hidden = !words;
  };
  const files = (count) => (count === 1 ? "A file" : `${count} files`) + " of this draft";

  // What was attached may be gone: the server keeps files for a day, and none when it ends.
  const fill = async (of) => {
    const { files: found, lost } = draft.files(of);
    write(draft.text(of));
    put(found);
    say(lost ? `${files(lost)} had no room here. Attach them again.` : "");
    const there = await Promise.all(found.map((each) => fetch(each.url, { method: "HEAD" }).then((reply) => reply.ok, () => true)));
    const gone = found.filter((_, at) => !there[at]);
    if (!gone.length || chat !== of) return;
    put(here().files.filter((each) => !gone.some((one) => one.path === each.path)));
    say(`No longer on the server, and left out of this draft: ${gone.map((each) => each.orig_name || "a file").join(", ")}.`);
  };

  // With a chat comes what was written and attached there, but where the user has gone on since it was asked for.
  const settle = () => {
    const now = facts.chat;
    if (!box() || now === undefined || (chat === null && !now && !facts.opens && address())) return;
    if (now === chat) {
      if (facts.opens !== opens) leaving = null;
      opens = facts.opens;
      return;
    }
    const { text, files } = here(), before = chat;
    const untouched = leaving === null || (text === leaving.text && paths(files) === paths(leaving.files));
    const begun = before !== null && facts.opens === opens; // here, or refused: it is the same box as before
    chat = now;
    opens = facts.opens;
    leaving = null;
    if (before !== null) draft.keep(before, ...(untouched && !begun ? [text, files] : ["", []]));
    if (begun || (!untouched && (text || files.length))) draft.keep(now, text, files);
    else fill(now);
  };

  document.addEventListener("ggufrun:wanted", ({ detail }) => { // chosen in the list of chats
    if (box() && chat !== null && (detail !== chat || leaving !== null)) leaving = here();
  });

  // What was sent is in the box no more, and no draft, even if the user has turned to another chat meanwhile. What was
  // written since then stays.
  const brief = (text) => {
    const points = Array.from(text);
    return points.length <= 2000 ? text : points.slice(0, 1000).join("") + points.slice(-1000).join("");
  };
  const empty = ([, chats, text, many]) => {
    const is = (one) => brief(one.text) === text && one.files.length === many;
    for (const each of chats) if (is({ text: draft.text(each), ...draft.files(each) })) draft.keep(each, "", []);
    const anothers = chat !== null && chat === (facts.chat ?? "") && !chats.includes(chat); // what is in the box
    if (anothers || !is(here())) return;
    write("");
    put([]);
  };

  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(() => document.querySelector("#count-now")?.click(), PAUSE_MS);
  };
  const learn = () => {
    const text = document.querySelector("#facts [data-facts]")?.dataset.facts ?? "";
    if (!text || text === told) return;
    const before = facts;
    told = text;
    facts = { ...before, ...JSON.parse(text) };
    if (facts.taken[0] !== before.taken[0]) empty(facts.taken);
    if (facts.opens !== before.opens) window.ggufrunView?.left();
    settle();
    later(); // another branch may be shown
  };

  const seen = new MutationObserver(learn);
  const bind = () => {
    const found = document.getElementById("facts");
    if (!found || found.dataset.asked) return;
    found.dataset.asked = "1";
    seen.disconnect();
    seen.observe(found, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-facts"] });
    learn();
  };
  setInterval(bind, 300);

  // A file that has come after another chat was opened is of the one that it was dropped, pasted or chosen in.
  const come = (event) => {
    if (!event.target.closest?.("#ask")) return;
    const brought = event.target.files ?? (event.clipboardData ?? event.dataTransfer)?.files ?? [];
    for (const each of brought) coming.push({ name: each.name, chat, opens });
  };
  for (const kind of ["change", "paste", "drop"]) document.addEventListener(kind, come, true);
  const sorted = (found) => {
    const had = new Set(attached.map((each) => each.path));
    const ours = [];
    for (const each of found) {
      const at = had.has(each.path) ? -1 : coming.findIndex((one) => one.name === each.orig_name);
      const [from] = at < 0 ? [] : coming.splice(at, 1);
      if (!from || from.chat === chat || from.chat === null || from.opens === opens) ours.push(each);
      else draft.keep(from.chat, draft.text(from.chat), [...draft.files(from.chat).files, each]);
    }
    return ours;
  };

  window.ggufrunAsk = {
    soon: later,
    wrote(value) {
      const found = (value?.files ?? []).map((each) => ({ ...each })); // Gradio changes its own in place
      if (wanted !== null && paths(found) !== paths(wanted)) return; // it is on its way
      wanted = null;
      const ours = sorted(found);
      attached = found;
      if (ours.length < found.length) put(ours);
      if (box() && leaving === null && chat !== null) draft.keep(chat, box().value, ours);
      later();
    },
    // For Gradio: what the box is to have.
    files(value) { return { ...value, text: box().value, files: (wanted ?? attached).map((each) => ({ ...each })) }; },
    counted() {
      if (shown() === chat && facts.chat === chat) leaving = null; // nothing is being opened
      settle();
    },
  };

  const begin = () => {
    if (!box() || !document.getElementById("draft-put")) return setTimeout(begin, 100);
    if (chat === "" && !box().value) fill(chat);
    later();
  };
  begin();
})();
