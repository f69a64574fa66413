// Browser tests of the provider's pages: node run.mjs DIR, where DIR holds netbird-mgmt.
// One server, one application, one Chromium; each test is a visitor with a browser context of its
// own. They run in this order, for an installation is set up once.
import { after, before } from 'node:test';
import { resolve } from 'node:path';
import { load } from './support/packages.mjs';
import { Application, Management } from './support/server.mjs';
import { setup } from './setup.mjs';
import { login } from './login.mjs';
import { device } from './device.mjs';
import { secondFactor } from './second_factor.mjs';
import { logout } from './logout.mjs';
import { errors } from './errors.mjs';
import { markup } from './markup.mjs';
import { keyboard } from './keyboard.mjs';
import { pages } from './pages.mjs';
import { leaks } from './leaks.mjs';
import { throttle } from './throttle.mjs';

const { chromium } = load('playwright-core');
const site = { owner: { email: 'owner@example.org', password: 'Secret-Password-1', name: 'Owner' } };

before(async () => {
  site.application = await new Application().start();
  site.server = await new Management(resolve(process.argv[2], 'netbird-mgmt'), site.application)
    .start();
  const root = process.getuid() === 0;  // Chromium's sandbox refuses to run for root
  site.browser = await chromium.launch({
    executablePath: process.env.NB_CHROMIUM ?? '/usr/bin/chromium',
    args: ['--disable-dev-shm-usage', ...(root ? ['--no-sandbox'] : [])],
  });
});

after(async () => {
  await site.browser?.close();
  await site.server?.stop();
  await site.application?.stop();
});

for (const part of [setup, login, device, secondFactor, logout, errors, markup, keyboard, pages,
                    throttle, leaks])
  part(site);
