// The Models tab: what its buttons and forms say, told to the server, and whether the tab is seen at all.
(() => {
  const LOOKS = ["seek", "cards", "choose", "plan", "local", "knobs"];

  // A question above the page, before what cannot be undone. Only text goes into it.
  const sure = (text, does, then) => {
    const dialog = document.createElement("dialog");
    dialog.className = "sure";
    const said = document.createElement("p");
    said.textContent = text;
    const yes = document.createElement("button"), no = document.createElement("button");
    yes.textContent = does;
    yes.className = "danger";
    no.textContent = "Keep it";
    yes.onclick = () => { dialog.close(); then(); };
    no.onclick = () => dialog.close();
    dialog.onclose = () => dialog.remove();
    dialog.append(said, no, yes);
    document.body.append(dialog);
    dialog.showModal();
  };

  const mmproj = () => {
    const form = document.querySelector("#knobs-form");
    return !form || form.elements.mmproj.checked ? "on" : "";
  };

  const copy = (button) => {
    const said = button.textContent;
    ggufrun.copy(button.dataset.copy).then(() => {
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = said; }, 1500);
    });
  };

  const unpick = (part) => part?.querySelectorAll("[data-pick][aria-pressed=true]").forEach((button) => {
    button.setAttribute("aria-pressed", "false");
    button.closest("tr")?.classList.remove("chosen");
  });

  // `element` stays when Gradio changes what is in it.
  window.ggufrunModels = (element, trigger, act, look) => {
    const tell = (data) => {
      if (data.act === "seek" || data.act === "local") unpick(document.querySelector("#found"));
      trigger(LOOKS.includes(data.act) ? look : act, data);
    };
    const pick = (button) => {
      unpick(element);
      button.setAttribute("aria-pressed", "true");
      button.closest("tr")?.classList.add("chosen");
    };
    element.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button || !element.contains(button)) return;
      if (button.dataset.copy !== undefined) return copy(button);
      if (!button.dataset.act) return;
      const data = { ...button.dataset };
      if ("knobs" in data) data.mmproj = mmproj();
      if ("pick" in data) pick(button);
      if (data.sure) return sure(data.sure, data.do, () => tell(data));
      button.classList.add("pressed");
      setTimeout(() => button.classList.remove("pressed"), 1500);
      tell(data);
    });
    const form = (target) => tell({ act: target.dataset.act, ...Object.fromEntries(new FormData(target)) });
    element.addEventListener("submit", (event) => {
      event.preventDefault();
      form(event.target);
    });
    element.addEventListener("reset", (event) => setTimeout(() => form(event.target)));
    element.addEventListener("change", (event) => {
      if (event.target.name === "mmproj") form(event.target.form);
    });
  };

  // Nobody who is not looking needs to be kept up to date.
  window.ggufrunSeen = (element, trigger, shown, hidden) => {
    let was = false;
    const look = () => {
      const is = element.isConnected && element.getClientRects().length > 0 && !document.hidden;
      if (is !== was) trigger((was = is) ? shown : hidden, {});
    };
    new ResizeObserver(look).observe(element);
    document.addEventListener("visibilitychange", look);
    look();
  };
})();
