// Everything can be done without a mouse, and what has the focus is seen.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loginUrl, pollDevice, startDevice } from './support/oauth.mjs';
import { visit } from './support/visitor.mjs';

export function keyboard(site) {
  const { owner } = site;

  const focused = (page) => page.evaluate(() => {
    const element = document.activeElement;
    const style = getComputedStyle(element);
    return { id: element.id || element.textContent, outline: style.outlineStyle,
             width: parseFloat(style.outlineWidth) };
  });

  async function isAt(page, id) {
    const now = await focused(page);
    assert.equal(now.id, id);
    assert.ok(now.outline === 'solid' && now.width >= 2, `${id} is seen to have the focus`);
  }

  async function step(page, id) {
    await page.keyboard.press('Tab');
    await isAt(page, id);
  }

  async function enter(page) {
    const arrives = page.waitForNavigation();
    await page.keyboard.press('Enter');
    return arrives;
  }

  test('a login with the keyboard alone', () =>
    visit(site, {}, async (visitor) => {
      const { page } = visitor;
      await visitor.open(loginUrl(site));
      await isAt(page, 'login');
      await page.keyboard.type(owner.email);
      await step(page, 'password');
      await page.keyboard.type('Wrong-Password-9');
      assert.equal((await enter(page)).status(), 401);
      await isAt(page, 'password');  // the address is filled in, the password is what is missing
      await page.keyboard.type(owner.password);
      await step(page, 'remember');
      await page.keyboard.press('Space');
      await step(page, 'Sign in');
      await enter(page);
      assert.ok((await visitor.atApplication()).get('code'));
    }));

  test('a device login with the keyboard alone', () =>
    visit(site, {}, async (visitor) => {
      const { page } = visitor;
      const { json: asked } = await startDevice(site);
      await visitor.open(`${site.server.issuer}/device`);
      await isAt(page, 'user_code');
      await page.keyboard.type(asked.user_code);
      await enter(page);
      await isAt(page, 'login');
      await page.keyboard.type(owner.email);
      await step(page, 'password');
      await page.keyboard.type(owner.password);
      await enter(page);
      // Nothing that allows has the focus by itself: Enter alone must not do it.
      assert.equal(await page.evaluate('document.activeElement.tagName'), 'BODY');
      await step(page, 'Allow');
      await step(page, 'Deny');
      await page.keyboard.press('Shift+Tab');
      await isAt(page, 'Allow');
      await enter(page);
      assert.equal(await visitor.heading(), 'Device connected');
      assert.equal((await pollDevice(site, asked.device_code)).status, 200);
    }));
}
