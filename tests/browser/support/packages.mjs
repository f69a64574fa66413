// Packages of npm, from where ./dev installs them: outside of the source tree.
import { createRequire } from 'node:module';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../../../build/browser/', import.meta.url));
if (!existsSync(`${folder}node_modules`)) {
  console.error(`no packages in ${folder}: ./dev test installs them`);
  process.exit(1);
}
export const load = createRequire(folder);
