// Markup in everything that a page repeats is shown as text, and the policy holds besides.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loginUrl, startDevice } from './support/oauth.mjs';
import { eventually } from './support/server.mjs';
import { visit } from './support/visitor.mjs';

const kScripts = { javaScriptEnabled: true };
const kMarkup = '"><img id=planted src=x onerror="window.hit=1"><script>window.hit=1</script>\'&amp;';

export function markup(site) {
  const { owner } = site;

  async function untouched(visitor) {
    assert.equal(await visitor.page.locator('#planted, main script').count(), 0);
    assert.equal(await visitor.page.evaluate('window.hit'), undefined);
  }

  test('in the hint and the address of a login', () =>
    visit(site, kScripts, async (visitor) => {
      await visitor.open(loginUrl(site, { login_hint: kMarkup, state: kMarkup, nonce: kMarkup }));
      const field = visitor.page.getByLabel('Email');
      assert.equal(await field.inputValue(), kMarkup);
      await untouched(visitor);
      await visitor.page.locator('form').evaluate((form) => { form.noValidate = true; });
      await visitor.fillLogin(kMarkup, kMarkup);
      await visitor.press('Sign in', 401);
      assert.equal(await field.inputValue(), kMarkup);
      await untouched(visitor);
      await visitor.fillLogin(owner.email, owner.password);
      await visitor.press('Sign in');
      assert.equal((await visitor.atApplication()).get('state'), kMarkup);
    }));

  test('in a device\'s code, hint, and program', () =>
    visit(site, kScripts, async (visitor) => {
      await visitor.open(`${site.server.issuer}/device?` +
                         new URLSearchParams({ user_code: '"><b id=planted>', login_hint: kMarkup }));
      const field = visitor.page.getByLabel('Code of the device');
      assert.equal(await field.inputValue(), '"><b id=planted>');
      await untouched(visitor);
      await visitor.press('Continue', 400);
      assert.equal(await field.inputValue(), '"><b id=planted>');
      await untouched(visitor);
      const program = '<b id=planted>program</b>"\'';
      const answer = await fetch(`${site.server.issuer}/device/code`, {
        method: 'POST', headers: { 'User-Agent': program },
        body: new URLSearchParams({ client_id: 'netbird-cli' }),
      });
      const { user_code: code } = await answer.json();
      await field.fill(code);
      await visitor.press('Continue');
      assert.equal(await visitor.page.getByLabel('Email').inputValue(), kMarkup);
      await visitor.fillLogin(owner.email, owner.password);
      await visitor.press('Sign in');
      assert.equal(await visitor.page.locator('dd').last().textContent(), program);
      await untouched(visitor);
    }));

  test('in a provider\'s name, and in what it answers', async () => {
    const name = `<b id=planted>x</b>${kMarkup}`;
    const made = await site.server.api('POST', '/api/identity-providers', {
      type: 'oidc', name, issuer: site.server.issuer, client_id: 'c', client_secret: 's',
    });
    await visit(site, kScripts, async (visitor) => {
      await visitor.open(loginUrl(site));
      const link = visitor.page.getByRole('link', { name: 'planted' });
      assert.equal(await link.textContent(), `Continue with ${name}`);
      await untouched(visitor);
      const arrives = visitor.page.waitForNavigation();
      await link.click();
      await arrives;
      const state = new URL(visitor.page.url()).searchParams.get('state');
      await visitor.open(`${site.server.issuer}/callback?` + new URLSearchParams(
        { error: kMarkup, error_description: kMarkup, state }), 502);
      await untouched(visitor);
    });
    await site.server.api('DELETE', `/api/identity-providers/${made.id}`);
  });

  test('in paths and parameters of error pages', () =>
    visit(site, kScripts, async (visitor) => {
      const bad = encodeURIComponent(kMarkup);
      await visitor.open(`${site.server.issuer}/${bad}`, 404);
      await untouched(visitor);
      for (const [path, status] of [[`/auth?client_id=${bad}`, 400],
                                    [`/auth?client_id=netbird-cli&redirect_uri=${bad}`, 400],
                                    [`/login?req=${bad}`, 400], [`/mfa?req=${bad}`, 400],
                                    [`/device/confirm?req=${bad}`, 400],
                                    [`/callback?state=${bad}`, 400],
                                    [`/logout?id_token_hint=${bad}`, 400]]) {
        await visitor.open(site.server.issuer + path, status);
        await untouched(visitor);
      }
    }));

  test('a script that got into a page would not run, and no site frames ours', () =>
    visit(site, kScripts, async (visitor) => {
      await visitor.open(loginUrl(site));
      await visitor.page.evaluate(() => {
        const script = document.createElement('script');
        script.textContent = 'window.hit = 1';
        document.body.append(script);
        const image = document.createElement('div');
        image.innerHTML = '<img src=x onerror="window.hit=1">';
        document.body.append(image);
      });
      assert.equal(await visitor.page.evaluate('window.hit'), undefined);
      assert.ok(visitor.complaints.some((text) => text.includes('Content Security Policy')));
      await visitor.page.goto(site.application.origin);
      await visitor.page.setContent(`<iframe src="${loginUrl(site)}"></iframe>`);
      const [, frame] = visitor.page.frames();
      await eventually(() => frame.url().startsWith('chrome-error:') || frame.url() === '');
      assert.ok(visitor.complaints.some((text) => /frame-ancestors|X-Frame-Options/.test(text)));
      visitor.complaints = [];
    }));
}
