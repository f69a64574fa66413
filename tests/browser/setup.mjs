// First steps on a fresh installation, as the dashboard's wizard makes them: from its own origin.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { visit } from './support/visitor.mjs';

/** The page's own fetch, so that the browser's rules for other origins hold. */
const call = (page, method, url, body) => page.evaluate(async ([method, url, body]) => {
  const answer = await fetch(url, {
    method,
    headers: body ? { 'Content-Type': 'application/json' } : {},
    body: body ? JSON.stringify(body) : undefined,
  });
  return { status: answer.status, json: await answer.json() };
}, [method, url, body]);

export function setup(site) {
  test('an installation is set up once, from the dashboard\'s origin', () =>
    visit(site, { javaScriptEnabled: true }, async ({ page }) => {
      await page.goto(`${site.application.origin}/setup`);
      const api = (path) => site.server.origin + path;
      assert.deepEqual(await call(page, 'GET', api('/api/instance')),
                       { status: 200, json: { setup_required: true } });
      const { owner } = site;
      const weak = await call(page, 'POST', api('/api/setup'), { ...owner, password: 'short' });
      assert.equal(weak.status, 422);
      assert.match(weak.json.message, /at least 8 characters/);
      const made = await call(page, 'POST', api('/api/setup'), { ...owner, create_pat: true });
      assert.equal(made.status, 200);
      assert.equal(made.json.email, owner.email);
      site.server.token = made.json.personal_access_token;
      assert.equal((await call(page, 'POST', api('/api/setup'), owner)).status, 412);
      assert.deepEqual((await call(page, 'GET', api('/api/instance'))).json,
                       { setup_required: false });
    }));
}
