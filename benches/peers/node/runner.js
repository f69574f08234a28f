// expressjs/cors as a runner; benches/src/runner.rs says how one is spoken to.
//
//     node runner.js WORKLOADS MODULES
//
// WORKLOADS is a folder that `cargo bench-libcors` writes, MODULES the one that
// holds node_modules. Request and response are objects with what the middleware
// uses of Node's: it is not charged for sockets.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const readline = require("node:readline");
const { createRequire } = require("node:module");

const [folder, modules] = process.argv.slice(2);
const cors = createRequire(path.join(modules, "package.json"))("cors");

class Response {
  statusCode = 200;
  headers = new Map();

  setHeader(name, value) {
    this.headers.set(name.toLowerCase(), [name, String(value)]);
  }

  getHeader(name) {
    return this.headers.get(name.toLowerCase())?.[1];
  }

  end() {}
}

function originOf(workload) {
  if (workload.expressions.length > 0) {
    return workload.expressions.map((each) => new RegExp(`^(?:${each})$`));
  }
  const [scheme, domain] = workload.origins[0].split("//*.");
  if (domain !== undefined) {
    const escaped = domain.replaceAll(".", "\\.");
    return new RegExp(`^${scheme}//.+\\.${escaped}$`);
  }
  return workload.origins;
}

class Subject {
  constructor(workload, middleware) {
    this.middleware = middleware;
    this.request = { method: workload.method, headers: {} };
    for (const [name, value] of workload.lines) {
      this.request.headers[name.toLowerCase()] = value;
    }
  }

  once() {
    const response = new Response();
    this.middleware(this.request, response, () => {});
    return response;
  }
}

const contenders = {
  "express-none": () => (request, response, next) => next(),
  "express-cors": (workload) => {
    const any = workload.headers.includes("*");
    return cors({
      origin: originOf(workload),
      methods: workload.methods,
      // Without a list it echoes what is asked for.
      allowedHeaders: any ? undefined : workload.headers,
      credentials: workload.credentials,
      maxAge: workload.max_age,
    });
  },
};

const subjects = new Map();

function subject(contender, id) {
  const key = `${contender} ${id}`;
  if (!subjects.has(key)) {
    const text = fs.readFileSync(path.join(folder, `${id}.json`), "utf8");
    const workload = JSON.parse(text);
    const made = new Subject(workload, contenders[contender](workload));
    subjects.set(key, made);
  }
  return subjects.get(key);
}

function batch(subject, times) {
  const start = process.hrtime.bigint();
  for (let i = 0; i < times; i++) {
    subject.once();
  }
  return Number(process.hrtime.bigint() - start);
}

function measure(subject, batches, length) {
  // As many as fill a batch; finding that out warms up.
  let times = 1;
  let took = batch(subject, times);
  while (took * 2 < length) {
    times *= 2;
    took = batch(subject, times);
  }
  times = Math.max(1, Math.floor((times * length) / took));
  const samples = [];
  for (let i = 0; i < batches; i++) {
    samples.push((batch(subject, times) / times).toFixed(3));
  }
  return samples.join(" ");
}

function answer(line) {
  const [command, contender, id, batches, length] = line.split(" ");
  if (command === "contenders") {
    return Object.keys(contenders).join(" ");
  }
  if (command === "answer") {
    const { statusCode, headers } = subject(contender, id).once();
    const lines = [...headers.values()].map(([n, v]) => `${n}: ${v}\n`);
    return `${statusCode}\n${lines.join("")}`;
  }
  if (command === "time") {
    return measure(subject(contender, id), Number(batches), Number(length));
  }
  throw new Error(`cannot do ${line}`);
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  process.stdout.write(`${answer(line)}\n`);
});
