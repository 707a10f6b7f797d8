// Who is logged in, and what to do when the server asks for a key that this page does not have.
(() => {
  const made = (tag, fields, ...parts) => {
    const node = Object.assign(document.createElement(tag), fields);
    node.append(...parts);
    return node;
  };

  const show = (name) => {
    const side = document.querySelector("#history");
    if (!side || side.querySelector("#who")) return side;
    const out = made("a", { id: "logout", href: "logout" }, "Log out");
    side.append(made("div", { id: "who", title: `The key ${name}` }, made("b", {}, name), out));
    return side;
  };
  const keep = (name, tries) => {
    const side = show(name);
    if (side) new MutationObserver(() => show(name)).observe(side, { childList: true });
    else if (tries) setTimeout(keep, 100, name, tries - 1);
  };

  const refused = () => {
    if (document.querySelector("#refused")) return;
    const again = made("a", { href: "./" }, "Log in");
    document.body.append(made("div", { id: "refused", role: "alert" }, "This server asks for an API key now. ", again));
  };

  const ask = window.fetch.bind(window);
  window.fetch = async (...asked) => {
    const reply = await ask(...asked);
    if (reply.status === 401 && new URL(reply.url).origin === location.origin) refused();
    return reply;
  };

  ask("login/who").then((reply) => reply.json()).then(({ name }) => name && keep(name, 200), () => {});
})();
