// The blind vote by keys, as in the terminal: left, right, T for a tie. Where somebody writes, the keys are theirs.
(() => {
  const KEYS = { ArrowLeft: "left", ArrowRight: "right", t: "tie" };
  const WRITES = "input:not([type=checkbox]), textarea, select, [contenteditable=true]";
  document.addEventListener("keydown", (event) => {
    const on = document.querySelector("#blind-on input")?.checked;
    if (!on || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    const prompt = event.target.closest?.("#beside-prompt");
    if (prompt && event.key === "Enter" && !event.shiftKey) setTimeout(() => event.target.blur());
    const button = document.getElementById(`blind-${KEYS[event.key]}`);
    if (!button || button.disabled || !button.getClientRects().length || event.target.closest?.(WRITES)) return;
    event.preventDefault();
    button.click();
  });
})();
