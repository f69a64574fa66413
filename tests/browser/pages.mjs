// Each page in both languages, light and dark, under axe's rules; and the API's reference.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { audit, checkHeaders } from './support/audit.mjs';
import { loginUrl, redeem, startDevice } from './support/oauth.mjs';
import { visit } from './support/visitor.mjs';

const kLanguages = {
  en: { locale: 'en-GB', email: 'Email', password: 'Password', submit: 'Sign in',
        next: 'Continue', allow: 'Allow' },
  de: { locale: 'de-DE', email: 'E-Mail', password: 'Passwort', submit: 'Anmelden',
        next: 'Weiter', allow: 'Zulassen' },
};

export function pages(site) {
  const { owner } = site;
  for (const [language, words] of Object.entries(kLanguages))
    test(`the pages are accessible in light and dark: ${language}`, () =>
      visit(site, { javaScriptEnabled: true, locale: words.locale }, async (visitor) => {
        const { page } = visitor;
        const look = async (response) => {
          checkHeaders(response);
          await audit(page, language);
        };
        const signIn = async (password, status = 200) => {
          await page.getByLabel(words.email).fill(owner.email);
          await page.getByLabel(words.password).fill(password);
          return visitor.press(words.submit, status);
        };
        await look(await visitor.open(`${site.server.issuer}/nothing`, 404));
        await look(await visitor.open(loginUrl(site)));
        await look(await signIn('Wrong-Password-1', 401));
        await signIn(owner.password);
        const { json: tokens } = await redeem(site, (await visitor.atApplication()).get('code'));
        const { json: asked } = await startDevice(site);
        await visitor.open(`${site.server.issuer}/device?user_code=BCDFGHJK`);
        await look(await visitor.press(words.next, 400));
        await look(await visitor.open(asked.verification_uri_complete));
        await visitor.press(words.next);
        await look(await signIn(owner.password));
        await look(await visitor.press(words.allow));
        await page.goto(site.application.origin);
        await page.setContent(`<a href="${site.server.issuer}/logout">x</a>`);
        const arrives = page.waitForNavigation();
        await page.getByRole('link').click();
        await look(await arrives);
        await look(await visitor.open(
          `${site.server.issuer}/logout?id_token_hint=${tokens.id_token}`));
      }));

  test('the reference page of the API lists its calls and leads to the description', () =>
    visit(site, { javaScriptEnabled: true }, async (visitor) => {
      const { page } = visitor;
      checkHeaders(await visitor.open(`${site.server.origin}/api/reference`));
      await audit(page, 'en');
      const calls = await page.getByRole('row').allTextContents();
      assert.ok(calls.length > 100, `${calls.length} calls`);
      assert.ok(calls.some((row) => /GET\s*\/api\/peers\/\{peerId\}/.test(row)));
      const link = await page.getByRole('link', { name: 'openapi.yaml' }).getAttribute('href');
      const text = await (await fetch(new URL(link, page.url()))).text();
      assert.match(text, /^openapi: "?3\.1/m);
      const table = [...new Set(calls.map((row) => row.match(/\/api\/[^\s]*/)?.[0]))];
      for (const path of table.filter((path) => path && !/\/api\/(reference|openapi)/.test(path)))
        assert.ok(text.includes(path.replace(/\{[^}]*\}.*/, '')), `described: ${path}`);
    }));
}
