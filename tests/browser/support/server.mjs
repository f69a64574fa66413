// netbird-mgmt with EmbeddedIdP on SQLite, and a web application that sends its users there.
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Waits for a condition, not for a time. */
export async function eventually(condition, limit = 30_000) {
  const until = Date.now() + limit;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > until) throw new Error(`not within ${limit} ms: ${condition}`);
    await new Promise((done) => setTimeout(done, 25));
  }
}

/** Ports with the locks of all tests, which Node cannot take itself; ours until `release`. */
async function freePorts(count) {
  const program = new URL('../../support/ports.py', import.meta.url).pathname;
  const holder = spawn('/usr/bin/python3', [program, String(count)],
                       { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise((done) => holder.on('close', done));
  let text = '';
  holder.stdout.on('data', (piece) => { text += piece; });
  await eventually(() => text.endsWith('\n') || holder.exitCode !== null);
  const ports = text.trim().split(' ').map(Number);
  if (ports.length !== count) throw new Error(`no ports: ${text}`);
  return { ports, release: () => { holder.stdin.end(); return ended; } };
}

/** The application: an origin of its own; every address of it answers with an empty page. */
export class Application {
  async start() {
    this.server = createServer((request, response) => {
      response.setHeader('Content-Type', 'text/html; charset=utf-8');
      response.end('<!doctype html><html lang="en"><title>Application</title><h1>Application</h1>');
    });
    await new Promise((done) => this.server.listen(0, '127.0.0.1', done));
    // localhost, so that it is another site than the provider at 127.0.0.1.
    this.origin = `http://localhost:${this.server.address().port}`;
    this.callback = `${this.origin}/nb-auth`;
    return this;
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((done) => this.server.close(done));
  }
}

export class Management {
  constructor(binary, application) {
    this.binary = binary;
    this.application = application;
    this.folder = mkdtempSync(join(tmpdir(), 'nb-browser-'));
    this.log = join(this.folder, 'log');
  }

  async start() {
    this.taken = await freePorts(2);
    const [port, metrics] = this.taken.ports;
    this.origin = `http://127.0.0.1:${port}`;
    this.issuer = `${this.origin}/oauth2`;
    const config = join(this.folder, 'management.json');
    writeFileSync(config, JSON.stringify({
      EmbeddedIdP: {
        Enabled: true,
        Issuer: this.issuer,
        Storage: { Type: 'sqlite3' },
        DashboardRedirectURIs: [this.application.callback],
        DashboardPostLogoutRedirectURIs: [`${this.application.origin}/`],
      },
    }));
    const out = openSync(this.log, 'a');
    this.process = spawn(this.binary, [
      'management', '--config', config, '--datadir', this.folder, '--port', String(port),
      '--metrics-port', String(metrics), '--listen-address', '127.0.0.1', '--disable-legacy-port',
      '--log-file', 'console', '--log-level', 'debug',
    ], {
      stdio: ['ignore', out, out],
      env: {
        ...process.env,
        NB_DATASTORE_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
        NB_SETUP_PAT_ENABLED: 'true',
        NB_DRAIN_DELAY: '0s',
      },
    });
    this.ended = new Promise((done) => this.process.on('exit', done));
    await eventually(async () => {
      if (this.process.exitCode !== null) throw new Error(this.output());
      try {
        return (await fetch(`http://127.0.0.1:${metrics}/readyz`)).ok;
      } catch {
        return false;
      }
    }, 60_000);
    return this;
  }

  output() {
    return readFileSync(this.log, 'utf8');
  }

  async stop() {
    if (this.process) {
      this.process.kill('SIGTERM');
      await this.ended;
    }
    await this.taken?.release();
    if (!process.env.NB_KEEP) rmSync(this.folder, { recursive: true, force: true });
  }

  /** A call of the REST API with the owner's token; the answer must have the status. */
  async api(method, path, body, status = 200) {
    const answer = await fetch(this.origin + path, {
      method,
      headers: { Authorization: `Token ${this.token}`, 'Content-Type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const text = await answer.text();
    if (answer.status !== status) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return text ? JSON.parse(text) : undefined;
  }

  /** A form posted to an endpoint of the provider, as programs do. */
  async form(path, fields) {
    const answer = await fetch(this.issuer + path, {
      method: 'POST',
      headers: { 'User-Agent': 'netbird-test/1' },
      body: new URLSearchParams(fields),
      redirect: 'manual',
    });
    return { status: answer.status, json: await answer.json() };
  }
}
