// Counts when typing pauses, and keeps what is typed and not sent, per chat, until the browser's tab is closed.
(() => {
  const PAUSE_MS = 400;
  const box = () => document.querySelector("#ask textarea");
  const shown = () => document.querySelector("#context [data-chat]")?.dataset.chat ?? "";
  const address = () => new URLSearchParams(location.search).get("chat");
  let timer = 0;
  let chat = address() ? null : ""; // whose text is in the box; null: of one that is still being opened
  let leaving = null, from = ""; // while another chat is opened: the text that was in the box, and the chat
  let told = "", facts = { opens: 0, taken: [0, [], "", 0] }; // what the chat says of itself (ui/chat/facts.py)
  let opens = 0; // as many chats had been opened when `chat` was the one in the box

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
    if (before !== null) keep(before, untouched && !begun ? text : "");
    if (begun || (!untouched && text)) keep(now, text);
    else write(read(now));
  };

  const files = () => document.querySelectorAll("#ask .delete-button");
  const detach = () => {
    for (const each of [...files()].reverse()) each.click();
    for (const each of document.querySelectorAll("#ask input[type=file]")) each.value = ""; // the same may come again
  };

  // What was sent is in the box no more, and no draft, even if the user has turned to another chat meanwhile. What was
  // written since then stays.
  const brief = (text) => {
    const points = Array.from(text);
    return points.length <= 2000 ? text : points.slice(0, 1000).join("") + points.slice(-1000).join("");
  };
  const empty = ([, chats, text, attached]) => {
    for (const each of chats) if (brief(read(each)) === text) keep(each, "");
    const anothers = chat !== null && chat === (facts.chat ?? "") && !chats.includes(chat); // what is in the box
    if (anothers || brief(box().value) !== text || files().length !== attached) return;
    write("");
    detach();
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
    if (facts.opens !== before.opens) detach(); // files are not kept for later
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

  window.ggufrunAsk = {
    soon() {
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
