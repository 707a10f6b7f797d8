// The chat: it follows the answer, knows its address, and has buttons at messages that Gradio has none for.
(() => {
  const NEAR = 40; // pixels from the end that still count as the end
  const LOOK_MS = 2000;
  let scroll = null, stuck = true, top = 0, known = "", facts = {}, looked = 0, asked = false;

  const tell = (detail) => document.querySelector("#facts [data-facts]")?.dispatchEvent(new CustomEvent("deed", { bubbles: true, detail: { ...detail, seen: window.ggufrunView.now() } }));

  const follow = () => { if (stuck && scroll) scroll.scrollTop = scroll.scrollHeight; };

  const scrolled = () => {
    if (scroll.scrollTop + scroll.clientHeight >= scroll.scrollHeight - NEAR) stuck = true;
    else if (scroll.scrollTop < top) stuck = false;
    top = scroll.scrollTop;
  };

  const button = (text, label, detail, off) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.setAttribute("aria-label", label);
    made.disabled = off;
    made.addEventListener("click", (event) => { event.stopPropagation(); tell(detail); });
    return made;
  };

  const branch = ([at, of, before, behind]) => {
    const made = document.createElement("span");
    made.className = "branch";
    const place = document.createElement("span");
    place.textContent = `${at}/${of}`;
    made.append(
      button("‹", "Previous version", { do: "switch", to: before }, at === 1),
      place,
      button("›", "Next version", { do: "switch", to: behind }, at === of),
    );
    return made;
  };

  const DEEDS = { again: ["Try again", "Answer this anew"], continue: ["Continue", "Go on with this answer"] };
  const deeds = (names) => {
    const made = document.createElement("div");
    made.className = "deeds";
    made.append(...names.map((name) => button(DEEDS[name][0], DEEDS[name][1], { do: name }, false)));
    return made;
  };

  // What is there already stays: the observer sees our own changes, too.
  const put = (host, made, key, kept) => {
    const there = host.querySelector(`:scope > .${made.className}`);
    if (there?.dataset.key === key) return kept.add(there);
    there?.remove();
    made.dataset.key = key;
    host.append(made);
    kept.add(made);
  };

  const decorate = () => {
    const said = document.getElementById("said");
    if (!said) return;
    const rows = said.querySelectorAll(".message-row"), kept = new Set();
    for (const [number, place] of Object.entries(facts.rows ?? {})) {
      const row = rows[number], next = row?.nextElementSibling;
      if (row) put(next?.matches(".message-buttons") ? next : row, branch(place), JSON.stringify(place), kept);
    }
    const faded = new Set(facts.faded ?? []);
    rows.forEach((row, number) => row.classList.toggle("left-out", faded.has(number)));
    const end = said.querySelector(".message-wrap");
    if (end && facts.deeds?.length) put(end, deeds(facts.deeds), facts.deeds.join(), kept);
    for (const each of said.querySelectorAll(".branch, .deeds")) if (!kept.has(each)) each.remove();
  };

  // What was open is pale from the click on another chat's name until that one is here, or cannot be.
  const PATIENCE_MS = 10e3;
  let wanted = null, patience = 0;
  const arrived = () => {
    clearTimeout(patience);
    wanted = null;
    document.getElementById("scroll")?.classList.remove("leaving");
    document.dispatchEvent(new CustomEvent("ggufrun:opened", { detail: facts.chat ?? "" }));
  };
  document.addEventListener("ggufrun:wanted", ({ detail }) => {
    if (wanted === null && detail === (facts.chat ?? "")) return arrived();
    wanted = detail;
    document.getElementById("scroll")?.classList.add("leaving");
    clearTimeout(patience);
    patience = setTimeout(arrived, PATIENCE_MS);
  });

  const learn = () => {
    const text = document.querySelector("#facts [data-facts]")?.dataset.facts ?? "";
    if (!text || text === known) return;
    const before = facts;
    known = text;
    facts = JSON.parse(text);
    if (wanted !== null && facts.opens !== before.opens && ["", wanted].includes(facts.chat)) arrived();
    if (facts.chat !== before.chat || (facts.run && facts.run !== before.run)) stuck = true;
    const address = new URL(location.href);
    if (facts.chat) address.searchParams.set("chat", facts.chat);
    else address.searchParams.delete("chat");
    if (address.href !== location.href) history.replaceState(history.state, "", address);
  };

  const update = () => { asked = false; learn(); decorate(); follow(); };
  const later = () => { if (!asked) { asked = true; requestAnimationFrame(update); } };

  const seen = new MutationObserver(later);
  const sized = new ResizeObserver(later);
  const bind = () => {
    const found = document.getElementById("scroll"), told = document.getElementById("facts");
    if (!found || !told || (found === scroll && told.dataset.bound)) return;
    seen.disconnect();
    sized.disconnect();
    scroll = found;
    told.dataset.bound = "1";
    seen.observe(found, { childList: true, subtree: true });
    seen.observe(told, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-facts"] });
    sized.observe(found);
    for (const child of found.children) sized.observe(child);
    found.addEventListener("scroll", scrolled, { passive: true });
    later();
  };
  setInterval(bind, 300);

  // Another tab may have gone on with this chat.
  const look = () => {
    if (document.visibilityState !== "visible" || !facts.chat || Date.now() - looked < LOOK_MS) return;
    looked = Date.now();
    tell({ do: "look" });
  };
  document.addEventListener("visibilitychange", look);
  window.addEventListener("focus", look);
})();
