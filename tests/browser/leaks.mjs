// What the whole run left behind: nothing secret in the log, and a database for its owner's eyes.
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { secrets } from './support/oauth.mjs';

export function leaks(site) {
  test('no password, code, token, cookie or key is in the log, which says everything', () => {
    const log = site.server.output();
    assert.match(log, /a password login failed/);
    assert.ok(secrets.size > 50, `${secrets.size} secrets`);
    secrets.add(site.server.token).add('s3cret-value');
    for (const secret of secrets)
      if (secret.length >= 8) assert.ok(!log.includes(secret), `${secret} is in the log`);
  });

  test('other users of the machine cannot read the database', () => {
    const { mode } = statSync(join(site.server.folder, 'idp.db'));
    assert.equal(mode & 0o777, 0o600);
  });
}
