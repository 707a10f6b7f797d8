document.querySelectorAll("thead button").forEach((button) => button.addEventListener("click", () => {
  const head = button.parentElement, body = head.closest("table").tBodies[0];
  const place = [...head.parentElement.children].indexOf(head), down = head.ariaSort === "ascending";
  for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
  head.ariaSort = down ? "descending" : "ascending";
  const key = (row) => row.children[place]?.dataset.n ?? "";
  const none = (row) => key(row) === "";  // what has no number stays below
  const order = (a, b) => none(a) - none(b) || (down ? -1 : 1) * (Number(key(a)) - Number(key(b)));
  body.append(...[...body.rows].sort(order));
}));
