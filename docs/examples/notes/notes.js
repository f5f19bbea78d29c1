// Notes in the browser's own database, which syncs with the server's. Without the server everything goes on;
// what was written meanwhile is sent when it is back.
const server = new URLSearchParams(location.search).get("server") || `http://${location.hostname}:5984`;
const notes = new PouchDB("notes");
const element = (id) => document.getElementById(id);
const show = (text) => { element("state").textContent = text; };

async function draw() {
  const { rows } = await notes.allDocs({ include_docs: true });
  element("notes").replaceChildren(...rows.map(({ doc }) => {
    const item = document.createElement("li");
    const forget = document.createElement("button");
    forget.textContent = "Forget";
    forget.setAttribute("aria-label", `Forget ${doc.text}`);
    forget.onclick = () => notes.remove(doc);
    item.append(doc.text, forget);
    return item;
  }));
}

function sync() {
  const failed = (error) => {
    element("sign-in").hidden = error.status !== 401;
    show(error.status === 401 ? "please sign in" : `no syncing: ${error.message}`);
  };
  notes.sync(new PouchDB(`${server}/notes`, { skip_setup: true }), { live: true, retry: true })
    .on("active", () => show("syncing"))
    .on("paused", (error) => show(error ? "waiting for the server" : "in sync"))
    .on("denied", (error) => show(`refused: ${error.doc.message}`))
    .on("error", failed);
}

element("add").onsubmit = async (event) => {
  event.preventDefault();
  await notes.put({ _id: new Date().toISOString(), text: element("text").value });
  element("text").value = "";
};

element("sign-in").onsubmit = async (event) => {
  event.preventDefault();
  const body = JSON.stringify({ name: element("name").value, password: element("password").value });
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch(`${server}/_session`, { method: "POST", credentials: "include", headers, body });
  if (!answer.ok) return show((await answer.json()).reason);
  element("sign-in").hidden = true;
  sync();
};

notes.changes({ live: true, since: "now" }).on("change", draw);
draw();
sync();
