// Side by side: copying. A browser allows it only at once, so the text is there before the button is pressed.
(() => {
  const copy = async (text) => {
    const button = document.getElementById("beside-copy");
    if (!text) return;
    await ggufrun.copy(text);
    button.dataset.copied = "yes";
    setTimeout(() => delete button.dataset.copied, 1500);
  };
  window.ggufrunBeside = { copy };
})();
