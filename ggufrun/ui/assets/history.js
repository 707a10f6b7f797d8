// The list of chats. All that is shown of a chat is set as text, never as HTML.
window.ggufrun.chats = (element, trigger, props, server, watch, events) => {
  const at = (selector) => element.querySelector(selector);
  const list = at(".h-list"), find = at(".h-find"), said = at(".h-said"), files = at("#import-file");
  const PAGE = 60, MORE = 140, EVERY_MS = 4000, LARGEST = 60e6;
  let chats = [], more = false, mark = "", most = PAGE, open = props.opened, asked = 0, day = "", focused = "", waits = false, turn = 0;

  // --- what is asked of the server

  let until = 0;
  const say = (words) => {
    said.textContent = words;
    said.hidden = !words;
    clearTimeout(until);
    if (words) until = setTimeout(say, 20e3, "");
  };

  const ask = async (name, what) => {
    let told;
    try {
      told = await server[name](what);
    } catch {
      told = { error: "The server does not answer. Start it again, then reload this page." };
    }
    if (told?.error) {
      say(told.error);
      said.dataset.of = name;
    } else if (name !== "listed" || said.dataset.of === "listed") say(""); // what else went wrong stays to be read
    return told?.error ? null : told;
  };

  const refresh = async () => {
    const turn = ++asked, shown = open;
    const told = await ask("listed", { query: find.value.trim(), most, open: shown, mark: day === today() ? mark : "" });
    if (!told || turn !== asked || told.same) return;
    ({ chats, more, mark } = told);
    if (told.gone && shown === open) {
      mark = "";
      trigger(events.gone, { id: shown });
    }
    draw();
  };

  // --- drawing: entries are kept by their ids, so that focus and scrolling stay

  const made = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };
  const titled = (chat) => chat.title.replace(/\s+/g, " ").trim() || "New chat";
  const today = () => new Date().toDateString();
  const group = (chat) => {
    const midnight = new Date().setHours(0, 0, 0, 0), then = chat.updated * 1000;
    const days = Math.ceil((midnight - then) / 86400e3);
    return days <= 0 ? "Today" : days === 1 ? "Yesterday" : days <= 7 ? "Last 7 days" : "Earlier";
  };

  const entry = (chat) => {
    const opens = made("button", { type: "button", class: "h-open", dir: "auto" });
    const menu = made("button", { type: "button", class: "h-menu", "aria-haspopup": "menu", tabindex: "-1" }, "⋯");
    const row = made("li", { class: "h-chat" }, opens, menu);
    row.dataset.id = chat.id;
    return row;
  };

  const fill = (row, chat) => {
    const [opens, menu] = row.children, title = titled(chat);
    if (opens.textContent !== title) {
      opens.textContent = title;
      opens.title = title;
      menu.setAttribute("aria-label", "More about " + title);
    }
    row.classList.toggle("running", chat.running);
    if (chat.running) opens.setAttribute("aria-description", "being answered");
    else opens.removeAttribute("aria-description");
  };

  const draw = () => {
    day = today();
    const had = new Map([...list.querySelectorAll("li")].map((row) => [row.dataset.id, row]));
    const held = document.activeElement?.closest?.(".h-chat") && document.activeElement;
    const parts = [];
    let last = "", rows = null;
    for (const chat of chats) {
      if (group(chat) !== last) {
        last = group(chat);
        rows = made("ul", { "aria-label": last });
        parts.push(made("h3", { "aria-hidden": "true" }, last), rows);
      }
      const row = had.get(chat.id) || entry(chat);
      fill(row, chat);
      rows.append(row);
    }
    if (!chats.length) parts.push(made("p", { class: "h-none" }, find.value.trim() ? "No chat has these words." : "No chats yet."));
    if (more) {
      const button = made("button", { type: "button", class: "h-more" }, "Show more");
      button.onclick = () => { most += MORE; refresh(); };
      parts.push(button);
    }
    const top = list.scrollTop;
    list.replaceChildren(...parts);
    list.scrollTop = top;
    if (held?.isConnected) held.focus({ preventScroll: true });
    show();
  };

  // The open one is marked; one entry alone is reached by Tab, the others from it with the arrows.
  const show = () => {
    const all = [...list.querySelectorAll(".h-open")];
    for (const each of all) {
      if (each.parentElement.dataset.id === open) each.setAttribute("aria-current", "true");
      else each.removeAttribute("aria-current");
    }
    const first = all.find((each) => each.parentElement.dataset.id === focused) || all.find((each) => each.ariaCurrent) || all[0];
    for (const each of all) each.tabIndex = each === first ? 0 : -1;
    const chat = chats.find((each) => each.id === open);
    if (chat || !open) document.title = chat ? titled(chat) + " · ggufrun" : "ggufrun";
  };

  // The name is marked at once. What the chat shows then is what holds, whichever was chosen last.
  const go = (id) => {
    open = id;
    waits = true;
    show();
    document.dispatchEvent(new CustomEvent("ggufrun:wanted", { detail: id }));
    trigger(events.open, { id, turn: ++turn }); // they may come to the server in another order
    document.querySelector("#tabs [role=tab][data-tab-id=chat]:not(.selected)")?.click();
    if (!window.ggufrun.wide.matches) window.ggufrun.turn("history", false);
    if (!id) setTimeout(() => document.querySelector("#ask textarea")?.focus(), 50);
  };

  // --- one chat: its menu, its new name, whether to delete it

  const dialog = made("dialog", { class: "h-dialog" });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => dialog.replaceChildren());

  const beside = (row, label, ...children) => {
    document.querySelector(".gradio-container").append(dialog); // it may have been drawn anew
    dialog.setAttribute("aria-label", label);
    dialog.replaceChildren(...children);
    if (!dialog.open) dialog.showModal();
    const place = row.getBoundingClientRect();
    dialog.style.left = Math.max(8, Math.min(place.left + 24, innerWidth - dialog.offsetWidth - 8)) + "px";
    dialog.style.top = Math.max(8, Math.min(place.bottom, innerHeight - dialog.offsetHeight - 8)) + "px";
  };
  const button = (words, done, kind = "") => {
    const each = made("button", { type: "button", class: kind }, words);
    each.onclick = done;
    return each;
  };

  const menu = (row, chat) => {
    const items = [
      button("Rename", () => rename(row, chat)),
      button("Export as Markdown", () => save(chat, "markdown")),
      button("Export as JSON", () => save(chat, "json")),
      button("Delete", () => remove(row, chat), "danger"),
    ];
    for (const item of items) item.setAttribute("role", "menuitem");
    const whole = made("div", { role: "menu" }, ...items);
    whole.onkeydown = (event) => step(event, items, document.activeElement);
    beside(row, titled(chat), whole);
  };

  const rename = (row, chat) => {
    const name = made("input", { type: "text", maxlength: "500", "aria-label": "Title", dir: "auto" });
    name.value = chat.title;
    const form = made("form", { method: "dialog" }, name, made("button", { type: "submit", class: "main" }, "Rename"));
    form.onsubmit = async () => {
      const title = name.value.trim();
      if (!title || title === chat.title) return;
      if (await ask("renamed", { id: chat.id, title })) refresh();
    };
    beside(row, "Rename", form);
    name.select();
  };

  const remove = (row, chat) => {
    const question = made("p", {}, "Delete “", made("bdi", {}, titled(chat)), "” for good?");
    const buttons = made("div", { class: "h-buttons" });
    buttons.append(button("Keep", () => dialog.close()), button("Delete", () => removed(row, chat), "danger main"));
    beside(row, "Delete chat", question, buttons);
    buttons.lastChild.focus();
  };
  const removed = async (row, chat) => {
    dialog.close();
    const next = row.nextElementSibling || row.previousElementSibling;
    const ours = open === chat.id;
    if (ours) open = ""; // before it is gone, so that nobody says that another tab did it
    if (!(await ask("deleted", { id: chat.id }))) {
      if (ours) open = chat.id;
      return;
    }
    if (ours) go("");
    else next?.querySelector(".h-open")?.focus();
    refresh();
  };

  const save = async (chat, format) => {
    dialog.close();
    const file = await ask("exported", { id: chat.id, format });
    if (!file) return;
    const link = made("a", { download: file.name });
    link.href = URL.createObjectURL(new Blob([file.text], { type: "application/octet-stream" }));
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60e3);
  };

  const load = async (chosen) => {
    said.dataset.of = "imported";
    let last = "";
    for (const file of chosen) {
      if (file.size > LARGEST) { say(`${file.name} is too large for a chat.`); continue; }
      const told = await ask("imported", { text: await file.text() });
      if (told) last = told.id;
      else say(`${file.name} was not imported. ${said.textContent}`);
    }
    await refresh();
    if (last) go(last);
  };

  // --- what the user does

  const step = (event, all, from) => {
    const by = { ArrowDown: 1, ArrowUp: -1, Home: -all.length, End: all.length }[event.key];
    if (!by) return;
    event.preventDefault();
    all[Math.max(0, Math.min(all.length - 1, all.indexOf(from) + by))]?.focus();
  };
  const of = (event) => {
    const row = event.target.closest?.(".h-chat");
    return row ? [row, chats.find((chat) => chat.id === row.dataset.id)] : [];
  };
  list.addEventListener("click", (event) => {
    const [row, chat] = of(event);
    if (!chat) return;
    if (event.target.closest(".h-menu")) menu(row, chat);
    else go(chat.id);
  });
  list.addEventListener("contextmenu", (event) => {
    const [row, chat] = of(event);
    if (!chat) return;
    event.preventDefault();
    menu(row, chat);
  });
  list.addEventListener("focusin", (event) => {
    const [row] = of(event);
    if (row && focused !== row.dataset.id) { focused = row.dataset.id; show(); }
  });
  list.addEventListener("keydown", (event) => {
    const [row, chat] = of(event);
    if (!chat) return;
    if (event.key === "F2") rename(row, chat);
    else if (event.key === "Delete") remove(row, chat);
    else if (event.key === "ArrowRight") row.lastChild.focus();
    else if (event.key === "ArrowLeft") row.firstChild.focus();
    else step(event, [...list.querySelectorAll(".h-open")], row.firstChild);
  });
  let waiting = 0;
  find.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { most = PAGE; refresh(); }, 200);
  });
  find.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") { event.preventDefault(); at(".h-open")?.focus(); }
  });
  at(".h-new").onclick = () => go("");
  at("#import").onclick = () => files.click();
  files.onchange = () => { const chosen = [...files.files]; files.value = ""; load(chosen); };

  const sidebar = element.closest("#history") || element;
  const dragged = (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    sidebar.classList.toggle("dropping", event.type === "dragover" || event.type === "dragenter");
    if (event.type === "drop") load([...event.dataTransfer.files]);
  };
  for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) sidebar.addEventListener(kind, dragged);

  // --- what others do: this page's parts, other tabs, other programs

  document.addEventListener("ggufrun:opened", ({ detail }) => {
    open = detail;
    waits = false;
    show();
  });
  watch(["opened", "changed"], () => {
    if (!waits) open = props.opened;
    show();
    refresh();
  });
  const tick = () => { if (element.isConnected && !document.hidden) refresh(); };
  document.addEventListener("visibilitychange", tick);
  setInterval(tick, EVERY_MS);
  refresh();
};
