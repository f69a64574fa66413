// Many wrong passwords: this address waits, whatever it types next, and others do not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { audit, checkHeaders } from './support/audit.mjs';
import { loginUrl } from './support/oauth.mjs';
import { visit } from './support/visitor.mjs';

export function throttle(site) {
  test('the guesser is told to wait, in his language, even with the right password', async () => {
    const guessed = { email: 'guessed@example.org', name: 'Guessed', role: 'user', auto_groups: [] };
    const { password } = await site.server.api('POST', '/api/users',
                                               { ...guessed, is_service_user: false });
    await visit(site, { javaScriptEnabled: true, locale: 'de-CH' }, async (visitor) => {
      await visitor.open(loginUrl(site));
      const attempt = async (text, status) => {
        await visitor.page.getByLabel('E-Mail').fill(guessed.email);
        await visitor.page.getByLabel('Passwort').fill(text);
        return visitor.press('Anmelden', status);
      };
      for (let i = 0; i < 5; ++i) await attempt(`Wrong-${i}`, 401);
      const locked = await attempt(password, 429);
      assert.match(await visitor.alert(), /^Zu viele Fehlversuche/);
      checkHeaders(locked);
      await audit(visitor.page, 'de');
      await visitor.page.getByLabel('E-Mail').fill(site.owner.email);
      await visitor.page.getByLabel('Passwort').fill(site.owner.password);
      await visitor.press('Anmelden');
      assert.ok((await visitor.atApplication()).get('code'));
    });
  });
}
