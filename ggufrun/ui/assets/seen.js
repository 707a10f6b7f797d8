// What the page shows while the user does something: the events of the chat tell it (ui/chat/seen.py).
(() => {
  const facts = () => JSON.parse(document.querySelector("#facts [data-facts]")?.dataset.facts || "{}");
  const now = () => {
    const { chat = "", opens = 0, head = null, run = null } = facts();
    return { chat, opens, head, run };
  };

  // An edit is of what was there when it began: Gradio leaves its box open where another chat comes to the same row.
  // Other buttons may be pressed before it ends, as those that copy.
  const begun = new WeakMap();
  let edited = null;
  const rowOf = (button) => button.closest(".message-buttons")?.previousElementSibling;
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("#said .message-buttons button"), row = button && rowOf(button);
    if (!row) return;
    if (row.querySelector("textarea")) {
      edited = begun.get(row) ?? null; // the button ends the edit
      return;
    }
    const rows = [...document.querySelectorAll("#said .message-row")];
    begun.set(row, { ...now(), message: facts().edits?.[rows.indexOf(row)] ?? null });
  }, true);

  window.ggufrunView = {
    now,
    edited: () => edited ?? now(),
    // Another chat is here: what was being edited is not.
    left() {
      const row = document.querySelector("#said .message-row:has(textarea)");
      row?.nextElementSibling?.querySelector("button:last-of-type")?.click();
    },
  };
})();
