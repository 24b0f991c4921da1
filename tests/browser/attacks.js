// What a page can do to a server that is not its own. Each attack says what it could read: "" for nothing.
// `at` holds target (a base URL), foreign (the attacker's own), token, and reset (body and confirmation).

const TOKENS = "/_mock/tokens";
const WORLDS = "/_mock/worlds";
const FAULTS = "/_mock/faults";
const RESET = "/training/courseprogress/v1/reset";

const sent = (url, options) => fetch(url, options).then((answer) => answer.text());
const simple = (url, body) =>
  sent(url, { method: "POST", mode: "no-cors", headers: { "content-type": "text/plain" }, body });
const json = (url, method, document, headers = {}) =>
  sent(url, {
    method,
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(document),
  });

function made(name, properties) {
  return Object.assign(document.createElement(name), properties);
}

function loaded(element) {
  return new Promise((done) => {
    element.onload = element.onerror = () => done("");
    document.body.append(element);
  });
}

async function framed(url, fill = () => {}) {
  const frame = made("iframe", { name: "prey", src: url });
  const ready = loaded(frame);
  fill();
  await ready;
  return frame.contentDocument?.body?.textContent ?? "";
}

function form(url, enctype, fields) {
  return framed("about:blank").then(() => {
    const frame = document.querySelector("iframe");
    const sender = made("form", { method: "post", action: url, target: "prey", enctype });
    for (const [name, value] of fields) sender.append(made("input", { name, value }));
    document.body.append(sender);
    return new Promise((done) => {
      frame.onload = () => done(frame.contentDocument?.body?.textContent ?? "");
      sender.submit();
    });
  });
}

function told(source) {
  return new Promise((done) => {
    source.onmessage = (event) => done(String(event.data));
    source.onopen = () => done("opened");
    source.onerror = () => done("");
  });
}

// A page without an origin of its own, which tells its parent what it found.
function sandboxed(script) {
  const answer = new Promise((done) => addEventListener("message", (event) => done(event.data), { once: true }));
  const srcdoc = `<script>(${script}).catch(() => "").then((text) => parent.postMessage(text, "*"))</scr` + "ipt>";
  document.body.append(made("iframe", { sandbox: "allow-scripts", srcdoc }));
  return answer;
}

async function opened(url) {
  const popup = open(url);
  for (let look = 0; look < 200; look++) {
    const text = popup.document.body?.textContent; // throws as soon as it is somebody else's page
    if (text) return text;
    await new Promise((done) => setTimeout(done, 25));
  }
  return "";
}

// Nobody is told how a beacon fared, only that it has been answered.
function beaconed(url) {
  return new Promise((done) => {
    const told = (list) => list.getEntries().some((entry) => entry.name === url) && done("");
    new PerformanceObserver(told).observe({ type: "resource" });
    navigator.sendBeacon(url);
  });
}

const ATTACKS = {
  fetch: (at) => sent(at.target + TOKENS),
  fetch_no_cors: (at) => sent(at.target + TOKENS, { mode: "no-cors" }),
  fetch_with_cookies: (at) => sent(at.target + TOKENS, { credentials: "include" }),
  fetch_without_referrer: (at) => sent(at.target + TOKENS, { referrerPolicy: "no-referrer" }),
  fetch_state: (at) => sent(at.target + "/_mock/state"),
  fetch_contract: (at) => sent(at.target + "/openapi.json"),
  fetch_with_token: (at) =>
    sent(at.target + "/training/courses/v1", { headers: { authorization: `Bearer ${at.token}` } }),
  xhr: (at) =>
    new Promise((done) => {
      const request = new XMLHttpRequest();
      request.onloadend = () => done(request.responseText);
      request.open("GET", at.target + TOKENS);
      request.send();
    }),
  worker: (at) => {
    const script = `fetch("${at.target + TOKENS}").then((a) => a.text()).catch(() => "").then(postMessage)`;
    return told(new Worker(URL.createObjectURL(new Blob([script]))));
  },
  image: (at) => loaded(made("img", { src: at.target + TOKENS })),
  script: (at) => loaded(made("script", { src: at.target + TOKENS })),
  stylesheet: (at) => loaded(made("link", { rel: "stylesheet", href: at.target + TOKENS })),
  prefetch: (at) => loaded(made("link", { rel: "prefetch", href: at.target + TOKENS })),
  object: (at) => loaded(made("object", { data: at.target + TOKENS })),
  iframe: (at) => framed(at.target + TOKENS),
  popup: (at) => opened(at.target + TOKENS),
  websocket: (at) => told(new WebSocket(at.target.replace("http", "ws") + TOKENS)),
  event_source: (at) => told(new EventSource(at.target + TOKENS)),
  empty_post: (at) => sent(at.target + WORLDS, { method: "POST", mode: "no-cors" }),
  text_post_world: (at) => simple(at.target + WORLDS, '{"seed":"demo"}'),
  text_post_fault: (at) => simple(at.target + FAULTS, '{"kind":"error","times":null}'),
  text_post_reset: (at) => simple(`${at.target}${RESET}?token=${at.token}`, at.reset.body),
  redirected_post: (at) =>
    sent(`${at.foreign}/redirect?${at.target}${WORLDS}`, { method: "POST", mode: "no-cors" }),
  beacon: (at) => beaconed(at.target + WORLDS),
  form: (at) => form(at.target + WORLDS, "application/x-www-form-urlencoded", []),
  form_as_text: (at) => form(at.target + FAULTS, "text/plain", [['{"kind":"error","course":"', '"}']]),
  sandboxed_fetch: (at) => sandboxed(`fetch("${at.target + TOKENS}").then((a) => a.text())`),
  sandboxed_post: (at) =>
    sandboxed(`fetch("${at.target + WORLDS}", {method: "POST", mode: "no-cors"}).then((a) => a.text())`),
  json_post_world: (at) => json(at.target + WORLDS, "POST", { seed: "demo" }),
  json_post_fault: (at) => json(at.target + FAULTS, "POST", { kind: "error", operation: "GetLesson" }),
  json_post_clock: (at) => json(at.target + "/_mock/clock", "POST", { advance: 3600 }),
  json_put_state: (at) => json(at.target + "/_mock/state", "PUT", {}),
  delete_faults: (at) => sent(at.target + FAULTS, { method: "DELETE" }),
  json_post_reset: (at) =>
    json(at.target + RESET, "POST", JSON.parse(at.reset.body), {
      authorization: `Bearer ${at.token}`,
      "reset-confirmation": at.reset.confirmation,
    }),
};

async function attack(name, at) {
  try {
    return await ATTACKS[name](at);
  } catch {
    return ""; // the browser kept it from the page
  }
}
