#!/usr/bin/env python3
"""What browsers make of the engine's header lists: see README.md."""

import argparse
import http.server
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time

PROFILE = """\
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.startup.homepage_override.mstone", "ignore");
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("network.captive-portal-service.enabled", false);
user_pref("network.connectivity-service.enabled", false);
user_pref("app.update.enabled", false);
user_pref("privacy.reduceTimerPrecision", false);
user_pref("network.proxy.type", 0);
"""

PAGE = """<!doctype html><meta charset=utf-8><body><script>
const API = '%(api)s', ROLE = '%(role)s', OTHER = '%(other)s', OWN = location.origin;
const result = {};
async function attempt(name, url, options) {
  try {
    const answer = await fetch(url, options);
    result[name] = 'allowed ' + answer.status;
  } catch (error) { result[name] = 'blocked'; }
}
function image(url) {
  return new Promise((done) => {
    const tag = new Image();
    tag.onload = tag.onerror = (event) => done(event.type);
    tag.src = url;
    document.body.append(tag);
  });
}
async function timing(name, path) {
  const url = API + path + '?' + ROLE;
  const event = await image(url);
  await new Promise((done) => setTimeout(done, 200));
  const entry = performance.getEntriesByName(url)[0];
  result[name] = !entry ? 'no entry' : 'image ' + event + ', requestStart ' +
    (entry.requestStart > 0 ? 'visible' : 'hidden') + ', transferSize ' +
    entry.transferSize + ', encodedBodySize ' +
    entry.encodedBodySize;
}
async function main() {
  await timing('timing: list', '/list/image');
  await timing('timing: list, no spaces', '/list/compact');
  await timing('timing: star', '/star/image');
  await timing('timing: no header', '/plain/image');
  for (const credentials of ['omit', 'include']) {
    await attempt('constant: GET, ' + credentials,
      API + '/constant/get-' + credentials + ROLE, {credentials});
    await attempt('constant: PUT, ' + credentials,
      API + '/constant/put-' + credentials + ROLE, {credentials, method: 'PUT'});
    const cached = API + '/constant/cached-' + credentials + ROLE;
    await image(cached);
    await attempt('constant: GET after img, ' + credentials, cached,
      {credentials, cache: 'force-cache'});
  }
  for (const method of ['patch', 'Patch', 'PATCH', 'OPTIONS', 'options'])
    await attempt('method ' + method, API + '/methods/m-' + method, {method});
  for (const method of ['patch', 'PATCH'])
    await attempt('method ' + method + ', both listed', API + '/both/m-' + method, {method});
  for (const name of ['x-amz-*', 'x-amz-meta'])
    await attempt('x-amz-* listed, script sends ' + name, API + '/literal/h-' + ROLE,
      {headers: {[name]: '1'}});
  await new Promise((done) => {
    const socket = new WebSocket(API.replace('http', 'ws') + '/plain/socket-' + ROLE);
    socket.onclose = socket.onerror = done;
  });
  await new Promise((done) => {
    const socket = new WebSocket(OWN.replace('http', 'ws') + '/self/own-socket-' + ROLE);
    socket.onclose = socket.onerror = done;
  });
  for (const [kind, policy] of [['plain', ''], ['noref', 'no-referrer']])
    for (const target of [OWN, API]) {
      const where = target === OWN ? 'own' : 'other';
      await new Promise((done) => {
        const frame = document.createElement('iframe');
        frame.onload = () => setTimeout(done, 500);
        frame.src = OWN + '/form-' + kind + '?' + target + '/self/form-' + kind + '-' + where + '-' + ROLE;
        document.body.append(frame);
      });
      await new Promise((done) => setTimeout(done, 300));
    }
  await fetch('/self/fetch-noref-own-' + ROLE, {method: 'POST', referrerPolicy: 'no-referrer'});
  await fetch('/self/nocors-noref-own-' + ROLE,
    {method: 'POST', mode: 'no-cors', referrerPolicy: 'no-referrer'});
}
main().catch((error) => { result.fault = String(error); }).finally(() =>
  fetch('/report', {method: 'POST', body: JSON.stringify(result)}).then(() => {
    if (ROLE === 'listed') location = OTHER + '/page';
  }));
</script>"""

FORM = """<!doctype html><meta charset=utf-8>%s<body><script>
const form = document.createElement('form');
form.method = 'POST';
form.action = decodeURIComponent(location.search.slice(1));
document.body.append(form);
form.submit();
</script>"""

IMAGE = (b'<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4">'
         b'<rect width="4" height="4"/></svg>')


class Run:
    def __init__(self, cors, folder):
        self.cors, self.folder = cors, folder
        self.wire, self.reports = [], {}
        self.lock = threading.Lock()
        self.servers = {}
        for role in ("listed", "unlisted", "api"):
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            server.daemon_threads = True
            server.run, server.role = self, role
            self.servers[role] = server
            threading.Thread(target=server.serve_forever, daemon=True).start()
        listed, unlisted = self.origin("listed"), self.origin("unlisted")
        second = "http://second.example"
        document = {"policy": {
            "list": {"allow_origins": [listed, second], "timing_allow_origin": True},
            "star": {"allow_origins": [listed], "timing_allow_origin": "*"},
            "plain": {"allow_origins": [listed]},
            "constant": {"allow_origins": [listed], "constant_origin": True,
                         "allow_credentials": True, "allow_methods": ["PUT"]},
            "methods": {"allow_origins": [listed, unlisted],
                        "allow_methods": ["PATCH", "OPTIONS"]},
            "both": {"allow_origins": [listed, unlisted],
                     "allow_methods": ["PATCH", "patch"]},
            "self": {"allow_origins": [second], "disallowed": "reject",
                     "self_origins": [listed, unlisted]},
        }}
        self.document = os.path.join(folder, "policy.json")
        with open(self.document, "w") as file:
            json.dump(document, file)

    def origin(self, role):
        return "http://localhost:%d" % self.servers[role].server_address[1]

    def decide(self, policy, method, headers):
        request = json.dumps({"method": method, "headers": headers})
        done = subprocess.run(
            [self.cors, "decide", "--config", self.document, "--policy", policy],
            input=request + "\n", capture_output=True, text=True, timeout=20)
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        return json.loads(done.stdout)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.serve
        raise AttributeError(name)

    def send(self, status, headers, body, kind="text/html; charset=utf-8"):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        # A client that has read a preflight's head may close before a body arrives.
        if body and status != 204 and self.command != "HEAD":
            self.wfile.write(body)

    def serve(self):
        run, role = self.server.run, self.server.role
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.split("?")[0]
        if path == "/report":
            with run.lock:
                run.reports[role] = json.loads(body)
            return self.send(200, [], b"")
        if path == "/page":
            page = PAGE % {"api": run.origin("api"), "role": role,
                           "other": run.origin("unlisted")}
            return self.send(200, [("Cache-Control", "no-store")], page.encode())
        if path.startswith("/form-"):
            meta = '<meta name=referrer content="no-referrer">' * path.endswith("noref")
            return self.send(200, [], (FORM % meta).encode())
        policy = path.split("/")[1]
        if policy not in ("list", "star", "plain", "constant", "methods", "both",
                          "self", "literal"):
            return self.send(404, [], b"")
        if policy == "literal":
            # No policy may list such a name, so the answer is written by hand.
            decision = {"outcome": "by hand", "reason": "", "status": None, "headers": [
                ["Access-Control-Allow-Origin", self.headers.get("Origin", "*")],
                ["Access-Control-Allow-Headers", "x-amz-*"], ["Vary", "Origin"]]}
        else:
            decision = run.decide(policy, self.command, list(self.headers.items()))
        headers = decision["headers"]
        if path.endswith("/compact"):
            headers = [[n, v.replace(", ", ",") if n == "Timing-Allow-Origin" else v]
                       for n, v in headers]
        fetch = {name.lower(): value for name, value in self.headers.items()
                 if name.lower() == "origin" or name.lower().startswith("sec-fetch-")
                 or name.lower().startswith("access-control-request-")}
        with run.lock:
            run.wire.append({"server": role, "method": self.command, "path": path,
                             "sent": fetch, "outcome": decision["outcome"],
                             "reason": decision["reason"], "answered": headers})
        if "socket" in path:
            self.close_connection = True
            return self.send(400, headers, b"")
        cache = "max-age=600" if "cached" in path else "no-store"
        preflight = self.command == "OPTIONS" and "access-control-request-method" in fetch
        self.send(decision["status"] or 200, headers + [["Cache-Control", cache]],
                  b"" if preflight else IMAGE, "image/svg+xml")


def browse(browser, program, cors):
    folder = tempfile.mkdtemp(prefix="cors-browser-")
    process = None
    try:
        run = Run(cors, folder)
        start = run.origin("listed") + "/page"
        profile = os.path.join(folder, "profile")
        os.mkdir(profile)
        if browser == "firefox":
            with open(os.path.join(profile, "user.js"), "w") as file:
                file.write(PROFILE)
            command = [program, "--headless", "--no-remote", "--profile", profile, start]
        else:
            command = [program, "--headless=new", "--no-sandbox", "--disable-gpu",
                       "--no-first-run", "--disable-background-networking",
                       "--disable-component-update", "--remote-debugging-port=0",
                       "--user-data-dir=" + profile, start]
        process = subprocess.Popen(
            command, start_new_session=True, env=dict(os.environ, HOME=folder),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 70
        while len(run.reports) < 2 and time.monotonic() < until:
            time.sleep(0.2)
        version = subprocess.run([program, "--version"], capture_output=True, text=True,
                                 timeout=20, env=dict(os.environ, HOME=folder)).stdout.strip()
        return {"browser": version, "origins": {r: run.origin(r) for r in run.servers},
                "complete": len(run.reports) == 2, "pages": run.reports, "wire": run.wire}
    finally:
        if process:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait(timeout=10)
        shutil.rmtree(folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cors", default="target/debug/cors")
    parser.add_argument("--chromium", default="chromium")
    parser.add_argument("--firefox", default="firefox-esr")
    parser.add_argument("--only", choices=["chromium", "firefox"])
    options = parser.parse_args()
    complete = True
    for browser in ("chromium", "firefox"):
        if options.only in (None, browser):
            seen = browse(browser, getattr(options, browser), options.cors)
            print(json.dumps(seen, indent=1))
            complete = complete and seen["complete"]
    return 0 if complete else 1


if __name__ == "__main__":
    raise SystemExit(main())
