// Counts when typing pauses, and keeps what is typed and not sent, per chat, until the browser's tab is closed.
(() => {
  const PAUSE_MS = 400;
  const box = () => document.querySelector("#ask textarea");
  const shown = () => document.querySelector("#context [data-chat]")?.dataset.chat ?? "";
  const address = () => new URLSearchParams(location.search).get("chat");
  let timer = 0;
  let chat = address() ? null : ""; // whose text is in the box; null: of one that is still being opened
  let leaving = null, from = ""; // while another chat is opened: the text that was in the box, and the chat
  let told = "", facts = { opens: 0, taken: [0, []] }; // what the chat says of itself (ui/chat/facts.py)
  let opens = 0; // as many chats had been opened when `chat` was the one in the box
  const asked = new Map(); // what was sent last, by chat
  let spent = null; // what is in the box and was taken already: the chat was left before that was told

  const read = (of) => { try { return sessionStorage.getItem(`ggufrun-draft-${of}`) ?? ""; } catch { return ""; } };
  const keep = (of, text) => {
    try {
      if (text) sessionStorage.setItem(`ggufrun-draft-${of}`, text);
      else sessionStorage.removeItem(`ggufrun-draft-${of}`);
    } catch { /* there is no room, or it is forbidden: then a reload forgets */ }
  };
  const write = (text) => {
    if (box().value === text) return;
    box().value = text;
    box().dispatchEvent(new Event("input", { bubbles: true }));
  };

  // The count names the chat that it is of: with it comes that chat's text, but where the user has gone on typing.
  const settle = () => {
    const now = shown();
    if (!box() || (facts.chat ?? "") !== now || (chat === null && now === "" && address())) return;
    if (now === chat) {
      opens = facts.opens;
      if (now !== from) leaving = null;
      return;
    }
    const text = box().value, untouched = leaving === null || text === leaving, before = chat;
    const begun = before !== null && facts.opens === opens; // here, or refused: it is the same box as before
    chat = now;
    opens = facts.opens;
    leaving = null;
    if (before !== null) keep(before, untouched && !begun && text !== spent ? text : "");
    spent = null;
    if (begun || (!untouched && text)) keep(now, text);
    else write(read(now));
  };

  // What was sent is no draft any more, even if the user has turned to another chat meanwhile.
  const forget = (chats) => {
    const sent = chats.map((each) => asked.get(each));
    for (const each of chats) if (sent.includes(read(each))) keep(each, "");
    if (chats.includes(chat) && sent.includes(box()?.value)) spent = box().value;
    for (const each of chats) asked.delete(each);
  };
  const detach = () => {
    for (const each of [...document.querySelectorAll("#ask .delete-button")].reverse()) each.click();
    for (const each of document.querySelectorAll("#ask input[type=file]")) each.value = ""; // the same may come again
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
    if (facts.taken[0] !== before.taken[0]) forget(facts.taken[1]);
    if (facts.opens !== before.opens) detach(); // files are not kept for later
    settle();
    later(); // another branch may be shown
  };

  const sending = (event) => {
    const at = event.target;
    const pressed = event.type === "keydown" && event.key === "Enter" && !event.shiftKey && at === box();
    if (pressed || (event.type === "click" && at.closest?.("#ask .submit-button"))) asked.set(chat ?? shown(), box().value);
  };
  for (const type of ["keydown", "click"]) document.addEventListener(type, sending, true);

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

  window.ggufrunAsk = {
    soon() {
      if (box()?.value !== spent) spent = null;
      if (box() && leaving === null && chat !== null) keep(chat, box().value);
      later();
    },
    switched() {
      leaving = box()?.value ?? "";
      from = shown();
    },
    counted() { requestAnimationFrame(() => requestAnimationFrame(settle)); },
  };

  const begin = () => {
    if (!box()) return setTimeout(begin, 100);
    if (chat === "" && !box().value) write(read(chat));
    window.ggufrunAsk.soon();
  };
  begin();
})();
