// The fields of sampling: filled from the component's value, and read into it when one of them was changed.
(() => {
  window.ggufrun = window.ggufrun || {};
  const UNREADABLE = "\uFFFD"; // for a number that is none: the browser gives "" for it

  const text = (input) =>
    input.type === "checkbox" ? (input.checked ? input.value : "")
    : input.validity.badInput ? UNREADABLE : input.value;

  // What others do is asked for now and then, by those who look at it: at once when one looks again.
  const PAUSE_MS = 10000;
  ggufrun.clock = (element, tick) => {
    let last = Date.now();
    const look = () => {
      if (document.hidden || !element.isConnected || Date.now() - last < PAUSE_MS - 500) return;
      last = Date.now();
      tick();
    };
    setInterval(look, PAUSE_MS);
    document.addEventListener("visibilitychange", look);
  };

  function offer(select, efforts, own, wanted) {
    const words = ["", ...efforts, ...(wanted && !efforts.includes(wanted) ? [wanted] : [])];
    select.replaceChildren(...words.map((word) => new Option(word || own, word)));
    select.value = wanted;
  }

  ggufrun.sampling = (element, props, watch, changed) => {
    const inputs = [...element.querySelectorAll("[name]")];

    // What is being typed stays: its field has the focus and differs from what it was filled with.
    const fill = () => {
      const values = props.value || {}, hints = props.hints || {}, wrong = props.wrong || {};
      for (const input of inputs) {
        const value = values[input.name] || "", typing = input === document.activeElement && input.dataset.typing;
        if (input.tagName === "SELECT") offer(input, props.efforts || [], hints[input.name] || "", value);
        else if (input.type === "checkbox") input.checked = Boolean(value);
        else if (!typing && value !== UNREADABLE && input.value !== value) input.value = value;
        if ("placeholder" in input) input.placeholder = hints[input.name] || "";
        const label = input.closest("label");
        label.classList.toggle("set", Boolean(value));
        label.querySelector("em").textContent = wrong[input.name] || "";
        input.setAttribute("aria-invalid", String(Boolean(wrong[input.name])));
      }
      const set = inputs.filter((input) => values[input.name]).length;
      element.querySelector("small").textContent = set ? set + " set" : "";
    };
    const tell = (read) => {
      props.value = Object.fromEntries(inputs.map((input) => [input.name, read(input)]));
      fill();
      changed();
    };

    element.addEventListener("input", (event) => { event.target.dataset.typing = "yes"; });
    element.addEventListener("change", (event) => {
      delete event.target.dataset.typing;
      tell(text);
    });
    element.querySelector("button").addEventListener("click", () => tell(() => ""));
    watch(["value", "hints", "efforts", "wrong"], fill);
    fill();
  };
})();
