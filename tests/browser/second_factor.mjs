// TOTP: enrolment with picture and key, codes once, recovery codes, wrong codes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loginUrl, redeem, secrets, totp } from './support/oauth.mjs';
import { audit, checkHeaders } from './support/audit.mjs';
import { visit } from './support/visitor.mjs';

export function secondFactor(site) {
  const { owner } = site;

  async function require(on) {
    const [account] = await site.server.api('GET', '/api/accounts');
    account.settings.local_mfa_enabled = on;
    await site.server.api('PUT', `/api/accounts/${account.id}`, { settings: account.settings });
  }

  async function password(visitor) {
    await visitor.open(loginUrl(site, { prompt: 'login' }));
    await visitor.fillLogin(owner.email, owner.password);
    return visitor.press('Sign in');
  }

  async function code(visitor, value, status) {
    await visitor.page.getByLabel('Code').fill(value);
    return visitor.press('Verify', status);
  }

  test('a second factor is enrolled, asked for, and recovered', async (t) => {
    await require(true);
    t.after(() => require(false));
    let secret;
    let recovery;
    await visit(site, {}, async (visitor) => {
      checkHeaders(await password(visitor));
      assert.equal(await visitor.heading(), 'Set up two-factor sign-in');
      secret = await visitor.page.locator('code').textContent();
      const picture = visitor.page.getByRole('img');
      const box = await picture.boundingBox();
      assert.ok(box.width > 150 && box.height > 150, 'a picture that a phone can read');
      await code(visitor, '000000', 401);
      assert.match(await visitor.alert(), /not correct/);
      assert.equal(await visitor.page.locator('code').textContent(), secret, 'the same key');
      checkHeaders(await code(visitor, totp(secret)));
      assert.equal(await visitor.heading(), 'Your recovery codes');
      recovery = await visitor.page.getByRole('listitem').allTextContents();
      assert.equal(new Set(recovery).size, 8);
      for (const one of [secret, ...recovery]) secrets.add(one);
      await visitor.page.getByRole('link').click();
      const answer = await visitor.atApplication();
      assert.equal((await redeem(site, answer.get('code'))).status, 200);
    });
    await visit(site, {}, async (visitor) => {
      await password(visitor);
      assert.equal(await visitor.heading(), 'Two-factor sign-in');
      assert.equal(await visitor.page.locator('code, svg').count(), 0, 'the key is not shown again');
      // One step ahead is within the window, and newer than the code of the enrolment.
      const next = totp(secret, 1);
      await code(visitor, next);
      assert.ok((await visitor.atApplication()).get('code'));
      await password(visitor);
      await code(visitor, next, 401);
      assert.match(await visitor.alert(), /was used before/);
      await code(visitor, recovery[0]);
      assert.ok((await visitor.atApplication()).get('code'));
    });
    await visit(site, { javaScriptEnabled: true }, async (visitor) => {
      await password(visitor);
      await audit(visitor.page, 'en');
      await code(visitor, recovery[0], 401);  // each of them once
      await audit(visitor.page, 'en');
      await code(visitor, recovery[1]);
    });
  });
}
