// The window: its sidebars, its colors, its keys. What must be known before Gradio begins is in early.html.
(() => {
  const page = window.ggufrun, root = document.documentElement;
  const $ = (selector) => document.querySelector(selector);
  const seen = (node) => node && node.checkVisibility?.({ visibilityProperty: true }) !== false && node.offsetParent !== null;

  const KEYS = [
    ["New chat", "Ctrl+Alt+N"], ["Search chats", "Ctrl+K or /"], ["Write a message", "Ctrl+Alt+M"],
    ["Stop the answer", "Esc"], ["Chats", "Ctrl+B"], ["Settings", "Ctrl+Alt+B"],
    ["In the list: rename, delete, more", "F2, Delete, →"], ["These keys", "?"],
  ];

  const showKeys = () => {
    let dialog = $("#keys");
    if (!dialog) {
      dialog = document.createElement("dialog");
      dialog.id = "keys";
      dialog.setAttribute("aria-label", "Keys");
      const rows = KEYS.map(([what, keys]) => `<dt>${what}</dt><dd><kbd>${keys}</kbd></dd>`).join("");
      dialog.innerHTML = `<h2>Keys</h2><dl>${rows}</dl><form method="dialog"><button>Close</button></form>`;
      dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
      $(".gradio-container").append(dialog);
    }
    dialog.showModal();
  };

  const focusOn = (selector, side) => {
    if (side && !page.isOpen(side)) page.turn(side, true);
    const node = $(selector);
    node?.focus();
    node?.select?.();
  };
  const write = () => {
    $("#tabs [role=tab][data-tab-id=chat]:not(.selected)")?.click();
    if (!page.wide.matches) root.dataset.over = "";
    setTimeout(() => focusOn("#ask textarea"), 50); // when its tab is drawn
  };
  const stop = () => {
    const button = [...document.querySelectorAll("#stop, #stop button, #ask .stop-button")].find(seen);
    if (!button || button.disabled) return false;
    button.click();
    return true;
  };

  const is = (event, letter) => event.code === "Key" + letter.toUpperCase() || event.key.toLowerCase() === letter;
  const typing = (node) => node?.matches?.("input:not([type=checkbox], [type=radio], [type=range], [type=button]), textarea, select, [contenteditable=true], .cm-content");

  const chord = (event) => {
    if (event.getModifierState("AltGraph")) return null; // it writes a letter
    const control = event.ctrlKey || event.metaKey;
    if (control && event.altKey && is(event, "n")) return () => $("#new")?.click();
    if (control && event.altKey && is(event, "m")) return write;
    if (control && event.altKey && is(event, "b")) return () => page.turn("settings");
    if (control && !event.altKey && !event.shiftKey && is(event, "b")) return () => page.turn("history");
    if (control && !event.altKey && !event.shiftKey && is(event, "k")) return () => focusOn("#find", "history");
    if (control || event.altKey || typing(event.target)) return null;
    if (event.key === "/") return () => focusOn("#find", "history");
    if (event.key === "?") return showKeys;
    return null;
  };

  const escape = (event) => {
    if (!page.wide.matches && root.dataset.over) return page.turn(root.dataset.over, false);
    if (event.target.id === "find" && !event.target.value) return write();
    if (event.target.id !== "find" && event.target.getAttribute?.("aria-expanded") !== "true" && stop()) event.preventDefault();
  };

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || $("dialog[open]")) return;
    if (event.key === "Escape") return escape(event);
    const done = chord(event);
    if (!done) return;
    event.preventDefault();
    done();
  });

  document.addEventListener("click", (event) => {
    const node = event.target.closest?.("[data-turn], [data-choose], [data-keys]");
    if (!node) {
      if (event.target.id === "window" && root.dataset.over) page.turn(root.dataset.over, false); // beside the sidebar
    } else if (node.dataset.turn) page.turn(node.dataset.turn);
    else if (node.dataset.choose) { page.choose(node.dataset.choose); mark(); }
    else showKeys();
  });

  // What assistive programs are told of the window; Gradio draws its parts when it likes.
  const mark = () => {
    for (const [side, name] of [["history", "Chats"], ["settings", "Settings"]]) {
      const bar = document.getElementById(side);
      bar?.setAttribute("role", "complementary");
      bar?.setAttribute("aria-label", name);
      for (const each of document.querySelectorAll(`[data-turn=${side}]`)) each.setAttribute("aria-expanded", page.isOpen(side));
    }
    for (const each of document.querySelectorAll("[data-choose]"))
      each.setAttribute("aria-pressed", each.dataset.choose === root.dataset.choice);
  };
  document.addEventListener("ggufrun:sides", mark);

  // Which tab is shown: the settings belong to the chat.
  const tab = () => {
    const chosen = $("#tabs [role=tab][aria-selected=true]");
    if (chosen) root.dataset.tab = chosen.dataset.tabId;
  };
  const begun = new MutationObserver(() => {
    const tabs = $("#tabs [role=tablist]");
    if (!tabs || !$("[data-choose]")) return;
    begun.disconnect();
    new MutationObserver(tab).observe(tabs, { subtree: true, attributeFilter: ["aria-selected"] });
    tab();
    mark();
  });
  begun.observe(document.body, { childList: true, subtree: true });

  // Pages that come neither over https nor from this machine have no clipboard.
  const copyByHand = (text) => {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  };
  page.copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      copyByHand(text);
    }
  };

  // iOS lays its keyboard over the page.
  const seenHeight = () => root.style.setProperty("--seen", window.visualViewport.height + "px");
  window.visualViewport?.addEventListener("resize", seenHeight);
  if (window.visualViewport) seenHeight();
})();
