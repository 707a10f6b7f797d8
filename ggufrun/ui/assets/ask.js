// Counts when typing pauses, and keeps what is typed and not sent, per chat, until the browser's tab is closed.
(() => {
  const PAUSE_MS = 400;
  const box = () => document.querySelector("#ask textarea");
  const shown = () => document.querySelector("#context [data-chat]")?.dataset.chat ?? "";
  const address = () => new URLSearchParams(location.search).get("chat");
  let timer = 0;
  let chat = address() ? null : ""; // whose text is in the box; null: of one that is still being opened
  let leaving = null, from = ""; // while another chat is opened: the text that was in the box, and the chat

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
    if (!box() || (chat === null && now === "" && address())) return;
    if (now === chat) {
      if (now !== from) leaving = null;
      return;
    }
    const text = box().value, untouched = leaving === null || text === leaving;
    if (chat !== null) keep(chat, untouched ? text : "");
    chat = now;
    leaving = null;
    if (untouched || !text) write(read(now));
    else keep(now, text);
  };

  window.ggufrunAsk = {
    soon() {
      if (box() && leaving === null && chat !== null) keep(chat, box().value);
      clearTimeout(timer);
      timer = setTimeout(() => document.querySelector("#count-now")?.click(), PAUSE_MS);
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
