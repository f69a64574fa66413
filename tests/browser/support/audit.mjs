// What every page of ours keeps: headers, no script, accessible in light and dark, narrow screens.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { load } from './packages.mjs';

const axe = readFileSync(load.resolve('axe-core/axe.min.js'), 'utf8');

export function checkHeaders(response) {
  const headers = response.headers();
  const policy = headers['content-security-policy'] ?? '';
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /frame-ancestors 'none'/);
  assert.match(policy, /style-src '(nonce|sha256)-[A-Za-z0-9_\-+/=]+'/);
  assert.doesNotMatch(policy, /unsafe|script-src|form-action/);
  assert.equal(headers['x-content-type-options'], 'nosniff');
  assert.equal(headers['x-frame-options'], 'DENY');
  assert.equal(headers['referrer-policy'], 'no-referrer');
  assert.equal(headers['access-control-allow-origin'], undefined);
  assert.match(headers['content-type'], /^text\/html; charset=utf-8$/);
}

const kAll = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
// Colours are all that the schemes do not share.
const kColours = ['color-contrast', 'link-in-text-block'];

/** Findings of axe in the page as it stands: rule and element, any impact. */
async function findings(page, rules) {
  const result = await page.evaluate(
    `window.axe || (() => { ${axe} })(); axe.run(document, { runOnly: ${JSON.stringify(rules)} })`);
  assert.ok(result.passes.length > (rules === kAll ? 5 : 0), 'axe found something to look at');
  return result.violations.flatMap((rule) =>
    rule.nodes.map((node) => `${rule.impact} ${rule.id}: ${node.target} ${node.failureSummary}`));
}

const scripts = `document.querySelectorAll('script, iframe, object, embed, link').length +
  [...document.querySelectorAll('*')].filter((element) =>
    [...element.attributes].some((attribute) => attribute.name.startsWith('on'))).length`;

/** Audits the page that a visitor with scripts on sees. */
export async function audit(page, language) {
  assert.equal(await page.evaluate(scripts), 0, 'nothing that loads or runs');
  assert.equal(await page.locator('html').getAttribute('lang'), language);
  assert.match(await page.title(), / · NetBird$/);
  const colours = [];
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    colours.push(await page.evaluate('getComputedStyle(document.body).backgroundColor'));
    assert.deepEqual(await findings(page, colorScheme === 'light' ? kAll : kColours), [],
                     `${colorScheme} ${page.url()}`);
  }
  assert.notEqual(colours[0], colours[1], 'light and dark differ');
  // WCAG 1.4.10: 320 pixels wide without scrolling sideways.
  const size = page.viewportSize();
  await page.setViewportSize({ width: 320, height: 640 });
  assert.equal(await page.evaluate('document.scrollingElement.scrollWidth <= 320'), true,
               `fits a narrow screen: ${page.url()}`);
  await page.setViewportSize(size);
}
