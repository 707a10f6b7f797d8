// What is written and attached and not sent, of each chat, until the browser's tab is closed. Of a file it keeps where
// the server has put it, as Gradio names it; no copy.
(() => {
  const MOST_FILES = 20; // of a draft: no message takes more
  const MOST_DRAFTS = 30; // that have files
  const FILES = "ggufrun-files-", TEXT = "ggufrun-draft-";

  const get = (key) => { try { return sessionStorage.getItem(key) ?? ""; } catch { return ""; } };
  const set = (key, value) => {
    try {
      if (value) sessionStorage.setItem(key, value);
      else sessionStorage.removeItem(key);
    } catch { /* there is no room, or it is forbidden: then a reload forgets */ }
  };
  const kept = () => { try { return JSON.parse(get("ggufrun-files") || "[]"); } catch { return []; } };

  const keepFiles = (of, files) => {
    const chats = kept().filter((each) => each !== of);
    set(FILES + of, files.length ? JSON.stringify({ files: files.slice(0, MOST_FILES), lost: Math.max(0, files.length - MOST_FILES) }) : "");
    if (files.length) chats.push(of);
    while (chats.length > MOST_DRAFTS) {
      const oldest = chats.shift(), { files, lost } = readFiles(oldest);
      set(FILES + oldest, JSON.stringify({ files: [], lost: files.length + lost }));
    }
    set("ggufrun-files", chats.length ? JSON.stringify(chats) : "");
  };
  const readFiles = (of) => {
    try {
      const { files, lost } = JSON.parse(get(FILES + of));
      return { files, lost };
    } catch { return { files: [], lost: 0 }; }
  };

  window.ggufrunDraft = {
    text: (of) => get(TEXT + of),
    files: readFiles, // `lost`: how many there were no room for
    keep(of, text, files) {
      set(TEXT + of, text);
      keepFiles(of, files);
    },
  };
})();
