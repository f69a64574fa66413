// Device login: the code is typed, the person logs in, says yes or no; the program polls.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loginUrl, pollDevice, startDevice } from './support/oauth.mjs';
import { visit } from './support/visitor.mjs';

export function device(site) {
  const { owner } = site;

  async function enter(visitor, code) {
    await visitor.open(`${site.server.issuer}/device`);
    await visitor.page.getByLabel('Code of the device').fill(code);
    await visitor.press('Continue');
  }

  async function logIn(visitor) {
    assert.equal(await visitor.heading(), 'Sign in');
    await visitor.fillLogin(owner.email, owner.password);
    await visitor.press('Sign in');
    assert.equal(await visitor.heading(), 'Allow this device?');
  }

  test('an allowed device gets tokens once, and its code is dead then', () =>
    visit(site, {}, async (visitor) => {
      const { json: asked } = await startDevice(site);
      assert.ok(asked.interval > 0 && asked.expires_in > 0);
      assert.equal((await pollDevice(site, asked.device_code)).json.error,
                   'authorization_pending');
      await enter(visitor, asked.user_code.replace('-', ' ').toLowerCase());
      await logIn(visitor);
      const shown = await visitor.page.locator('dd').allTextContents();
      assert.deepEqual(shown, [owner.email, asked.user_code, '127.0.0.1', 'netbird-test/1']);
      await visitor.press('Allow');
      assert.equal(await visitor.heading(), 'Device connected');
      const tokens = await pollDevice(site, asked.device_code);
      assert.equal(tokens.status, 200, JSON.stringify(tokens.json));
      assert.ok(tokens.json.access_token);
      const again = await pollDevice(site, asked.device_code);
      assert.equal(again.status, 400);
      assert.ok(!again.json.access_token);
      await visitor.open(`${site.server.issuer}/device`);
      await visitor.page.getByLabel('Code of the device').fill(asked.user_code);
      await visitor.press('Continue', 400);
      assert.match(await visitor.alert(), /not known or has expired/);
    }));

  test('a denied device is told so', () =>
    visit(site, {}, async (visitor) => {
      const { json: asked } = await startDevice(site);
      await visitor.open(asked.verification_uri_complete);
      const field = visitor.page.getByLabel('Code of the device');
      assert.equal(await field.inputValue(), asked.user_code);
      await visitor.press('Continue');
      await logIn(visitor);
      await visitor.press('Deny');
      assert.equal(await visitor.heading(), 'Request denied');
      assert.equal((await pollDevice(site, asked.device_code)).json.error, 'access_denied');
    }));

  test('a session that is there does not stand in for the login', () =>
    visit(site, {}, async (visitor) => {
      await visitor.open(loginUrl(site));
      await visitor.fillLogin(owner.email, owner.password);
      await visitor.press('Sign in');
      await visitor.atApplication();
      const { json: asked } = await startDevice(site);
      await enter(visitor, asked.user_code);
      await logIn(visitor);
      // The page went away: the answer of a second click comes too late, not twice.
      const confirm = visitor.page.url();
      await visitor.press('Allow');
      await visitor.open(confirm, 400);
      assert.equal(await visitor.heading(), 'Sign-in is not possible');
    }));

  test('a wrong code is refused in the reader\'s language', () =>
    visit(site, { locale: 'de-AT' }, async (visitor) => {
      await visitor.open(`${site.server.issuer}/device`);
      await visitor.page.getByLabel('Code des Geräts').fill('BCDF-GHJK');
      await visitor.press('Weiter', 400);
      assert.match(await visitor.alert(), /nicht bekannt oder abgelaufen/);
      assert.equal(await visitor.page.getByLabel('Code des Geräts').inputValue(), 'BCDF-GHJK');
    }));
}
