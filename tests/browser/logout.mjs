// Leaving: with the application's proof, from another site without it, and what is left after.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loginUrl, redeem } from './support/oauth.mjs';
import { visit } from './support/visitor.mjs';

export function logout(site) {
  const { owner } = site;

  async function signedIn(visitor) {
    await visitor.open(loginUrl(site));
    await visitor.fillLogin(owner.email, owner.password);
    await visitor.press('Sign in');
    const answer = await visitor.atApplication();
    return (await redeem(site, answer.get('code'))).json.id_token;
  }

  async function isOut(visitor) {
    await visitor.page.goto(loginUrl(site, { prompt: 'none' }));
    const answer = await visitor.atApplication();
    return answer.get('error') === 'login_required';
  }

  const logoutUrl = (more) => `${site.server.issuer}/logout${more ? '?' : ''}${new URLSearchParams(more)}`;

  test('the application\'s logout ends the session and comes back', () =>
    visit(site, {}, async (visitor) => {
      const hint = await signedIn(visitor);
      const home = `${site.application.origin}/`;
      await visitor.open(logoutUrl({ id_token_hint: hint, client_id: 'netbird-dashboard',
                                     post_logout_redirect_uri: home, state: 'x y' }));
      assert.equal(visitor.page.url(), `${home}?state=x%20y`);
      assert.equal((await visitor.context.cookies(site.server.issuer)).length, 0);
      assert.ok(await isOut(visitor));
    }));

  test('without an address to go to there is a page', () =>
    visit(site, {}, async (visitor) => {
      const hint = await signedIn(visitor);
      await visitor.open(logoutUrl({ id_token_hint: hint }));
      assert.equal(await visitor.heading(), 'Signed out');
      assert.ok(await isOut(visitor));
    }));

  test('a link on another site asks first', () =>
    visit(site, {}, async (visitor) => {
      await signedIn(visitor);
      await visitor.page.setContent(`<a href="${logoutUrl()}">bye</a>`);
      const arrives = visitor.page.waitForNavigation();
      await visitor.page.getByRole('link').click();
      await arrives;
      assert.equal(await visitor.heading(), 'Sign out?');
      assert.equal(await isOut(visitor), false, 'still signed in');
      await visitor.page.setContent(`<a href="${logoutUrl()}">bye</a>`);
      await visitor.page.getByRole('link').click();
      await visitor.page.waitForURL(`${site.server.issuer}/logout`);
      // Leads to the installation's start, where the balancer has the dashboard; here is only us.
      await visitor.press('Sign out', 404);
      assert.ok(await isOut(visitor));
    }));

  test('an address that is not registered is never gone to', () =>
    visit(site, {}, async (visitor) => {
      const hint = await signedIn(visitor);
      await visitor.open(logoutUrl({ id_token_hint: hint,
                                     post_logout_redirect_uri: 'https://evil.example/' }), 400);
      assert.equal(new URL(visitor.page.url()).origin, site.server.origin);
      assert.equal(await isOut(visitor), false);
    }));
}
