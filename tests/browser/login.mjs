// Password login with scripts off: right, wrong, unknown, remembered, silent, in two languages.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loginUrl, redeem } from './support/oauth.mjs';
import { visit } from './support/visitor.mjs';

const german = { locale: 'de-DE' };

export function login(site) {
  const { owner } = site;

  test('the right password leads back with a code that is good for the API', () =>
    visit(site, {}, async (visitor) => {
      const state = 'a=b+c|%20 d&e/ü';
      await visitor.open(loginUrl(site, { state }));
      assert.equal(await visitor.heading(), 'Sign in');
      await visitor.fillLogin(owner.email, owner.password);
      await visitor.press('Sign in');
      const answer = await visitor.atApplication();
      assert.equal(answer.get('state'), state);
      assert.equal(answer.get('iss'), site.server.issuer);
      const tokens = await redeem(site, answer.get('code'));
      assert.equal(tokens.status, 200);
      const headers = { Authorization: `Bearer ${tokens.json.access_token}` };
      const who = await fetch(`${site.server.issuer}/userinfo`, { headers });
      assert.equal((await who.json()).email, owner.email);
      const me = await fetch(`${site.server.origin}/api/users/current`, { headers });
      assert.equal((await me.json()).role, 'owner');
      const again = await redeem(site, answer.get('code'));
      assert.deepEqual([again.status, again.json.error], [400, 'invalid_grant']);
    }));

  test('a session answers without a page, also in a hidden frame of the same site', () =>
    visit(site, {}, async (visitor) => {
      await visitor.open(loginUrl(site));
      await visitor.fillLogin(owner.email, owner.password);
      await visitor.press('Sign in');
      await visitor.atApplication();
      await visitor.page.goto(loginUrl(site, { prompt: 'none' }));
      assert.ok((await visitor.atApplication()).get('code'));
      await visitor.open(loginUrl(site, { prompt: 'login' }));
      assert.equal(await visitor.heading(), 'Sign in');
    }));

  test('without a session prompt=none says so and shows no page', () =>
    visit(site, {}, async (visitor) => {
      await visitor.page.goto(loginUrl(site, { prompt: 'none', state: 's' }));
      const answer = await visitor.atApplication();
      assert.deepEqual([answer.get('error'), answer.get('state')], ['login_required', 's']);
    }));

  test('wrong password and unknown user look the same and keep the address', () =>
    visit(site, {}, async (visitor) => {
      await visitor.open(loginUrl(site));
      for (const email of [owner.email, 'nobody@example.org']) {
        await visitor.fillLogin(email, 'Wrong-Password-1');
        await visitor.press('Sign in', 401);
        assert.equal(await visitor.alert(), 'Email or password is not correct.');
        assert.equal(await visitor.page.getByLabel('Email').inputValue(), email);
        assert.equal(await visitor.page.getByLabel('Password').inputValue(), '');
      }
      await visitor.fillLogin(owner.email, owner.password);
      await visitor.press('Sign in');
      assert.ok((await visitor.atApplication()).get('code'));
    }));

  test('remembered logins stay when the browser is closed, others do not', async () => {
    for (const remember of [true, false])
      await visit(site, {}, async (visitor) => {
        await visitor.open(loginUrl(site));
        await visitor.fillLogin(owner.email, owner.password);
        if (remember) await visitor.page.getByLabel('Keep me signed in on this device').check();
        await visitor.press('Sign in');
        await visitor.atApplication();
        const cookies = await visitor.context.cookies(site.server.issuer);
        assert.equal(cookies.length, 1, 'the cookie of the login under way is gone');
        const [session] = cookies;
        assert.equal(session.expires > 0, remember);
        assert.deepEqual([session.httpOnly, session.sameSite, session.path],
                         [true, 'Lax', '/oauth2']);
      });
  });

  test('a German browser gets German pages, others English ones', async () => {
    await visit(site, german, async (visitor) => {
      await visitor.open(loginUrl(site));
      assert.equal(await visitor.heading(), 'Anmelden');
      await visitor.page.getByLabel('E-Mail').fill(owner.email);
      await visitor.page.getByLabel('Passwort').fill('falsch');
      await visitor.press('Anmelden', 401);
      assert.equal(await visitor.alert(), 'E-Mail oder Passwort ist nicht richtig.');
    });
    await visit(site, { locale: 'fr-FR' }, async (visitor) => {
      await visitor.open(loginUrl(site));
      assert.equal(await visitor.heading(), 'Sign in');
    });
  });

  test('the button of another provider leads there', async () => {
    const made = await site.server.api('POST', '/api/identity-providers', {
      type: 'oidc', name: 'Other company', issuer: site.server.issuer, client_id: 'unknown-there',
      client_secret: 's3cret-value',
    });
    await visit(site, {}, async (visitor) => {
      await visitor.open(loginUrl(site));
      const arrives = visitor.page.waitForNavigation();
      await visitor.page.getByRole('link', { name: 'Continue with Other company' }).click();
      // It is this very provider, which knows no such application and says so on its own page.
      assert.equal((await arrives).status(), 400);
      const address = new URL(visitor.page.url());
      assert.equal(address.origin + address.pathname, `${site.server.issuer}/auth`);
      assert.equal(address.searchParams.get('client_id'), 'unknown-there');
      assert.equal(address.searchParams.get('redirect_uri'), `${site.server.issuer}/callback`);
      assert.ok(!visitor.page.url().includes('s3cret'));
      // Whoever turned around there finds every way to sign in again.
      await visitor.open(`${site.server.issuer}/callback?error=access_denied&state=` +
                         address.searchParams.get('state'), 502);
      assert.match(await visitor.alert(), /^Signing in with this provider did not work/);
      await visitor.fillLogin(owner.email, owner.password);
      await visitor.press('Sign in');
      assert.ok((await visitor.atApplication()).get('code'));
    });
    await site.server.api('DELETE', `/api/identity-providers/${made.id}`);
  });
}
