// Pages of what went wrong: the right status, a page of ours, and nobody is sent on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkHeaders } from './support/audit.mjs';
import { loginUrl } from './support/oauth.mjs';
import { visit } from './support/visitor.mjs';

export function errors(site) {
  const cases = {
    'unknown application': [() => loginUrl(site, { client_id: 'x' }), 400,
                            'The application that sent you here is not registered.'],
    'unregistered address': [() => loginUrl(site, { redirect_uri: 'https://evil.example/' }), 400,
                             'The address to return to is not registered for this application.'],
    'broken escapes': [() => `${site.server.issuer}/auth?client_id=%zz`, 400,
                       'The request was not understood.'],
    'login that was never begun': [() => `${site.server.issuer}/login?req=${'A'.repeat(43)}`, 400,
                                   null],
    'no such page': [() => `${site.server.issuer}/nothing`, 404, 'There is no such page.'],
  };
  for (const [what, [url, status, text]] of Object.entries(cases))
    test(`error page: ${what}`, () =>
      visit(site, {}, async (visitor) => {
        const response = await visitor.open(url(), status);
        checkHeaders(response);
        assert.equal(response.request().redirectedFrom(), null);
        assert.equal(await visitor.heading(), 'Sign-in is not possible');
        const shown = await visitor.page.locator('main p:not(.brand)').textContent();
        if (text) assert.equal(shown, text);
      }));

  test('a mistake of a known application goes back to it, not to the person', () =>
    visit(site, {}, async (visitor) => {
      await visitor.page.goto(loginUrl(site, { code_challenge_method: 'plain', state: 'q' }));
      const answer = await visitor.atApplication();
      assert.deepEqual([answer.get('error'), answer.get('state')], ['invalid_request', 'q']);
    }));

  test('a login page serves only the browser that began it', () =>
    visit(site, {}, async (first) => {
      await first.open(loginUrl(site));
      await visit(site, {}, async (second) => {
        await second.open(first.page.url(), 400);
        assert.equal(await second.heading(), 'Sign-in is not possible');
      });
    }));

  test('a form of another site is refused, also with the cookie', () =>
    visit(site, {}, async (visitor) => {
      await visitor.open(loginUrl(site));
      const request = new URL(visitor.page.url()).searchParams.get('req');
      await visitor.page.goto(site.application.origin);
      await visitor.page.setContent(
        `<form method="post" action="${site.server.issuer}/login">
         <input name="req" value="${request}"><input name="login" value="${site.owner.email}">
         <input name="password" value="${site.owner.password}"><button>Win</button></form>`);
      await visitor.press('Win', 400);
      assert.equal(await visitor.heading(), 'Sign-in is not possible');
    }));
}
