// A person with a browser: one context, its pages, and what went wrong in them.
import assert from 'node:assert/strict';
import { secrets } from './oauth.mjs';

export class Visitor {
  /** `options` are Playwright's of a context. Scripts are off unless javaScriptEnabled says so. */
  static async come(site, options = {}) {
    const visitor = new Visitor();
    visitor.site = site;
    visitor.context = await site.browser.newContext({
      javaScriptEnabled: false, locale: 'en-US', ...options,
    });
    visitor.context.setDefaultTimeout(20_000);
    visitor.page = await visitor.context.newPage();
    visitor.complaints = [];
    visitor.page.on('pageerror', (error) => visitor.complaints.push(String(error)));
    visitor.page.on('console', (message) => {
      // Chromium notes every answer of 400 and above, which some of our pages rightly are.
      if (message.type() === 'error' && !message.text().startsWith('Failed to load resource'))
        visitor.complaints.push(message.text());
    });
    return visitor;
  }

  async leave() {
    for (const { value } of await this.context.cookies()) secrets.add(value);
    await this.context.close();
    assert.deepEqual(this.complaints, [], 'what the browser complained of');
  }

  /** Goes there; the page must answer with the status. */
  async open(url, status = 200) {
    const response = await this.page.goto(url);
    assert.equal(response.status(), status, `${url}: ${await this.heading()}`);
    return response;
  }

  /** Clicks what submits; the page that comes must answer with the status. */
  async press(name, status = 200) {
    const arrives = this.page.waitForNavigation();
    await this.page.getByRole('button', { name, exact: true }).click();
    const response = await arrives;
    assert.equal(response.status(), status, await this.heading());
    return response;
  }

  async heading() {
    return (await this.page.locator('h1').allTextContents()).join();
  }

  alert() {
    return this.page.getByRole('alert').textContent();
  }

  async fillLogin(email, password) {
    secrets.add(password);
    await this.page.getByLabel('Email').fill(email);
    await this.page.getByLabel('Password').fill(password);
  }

  /** The answer that the application got in its address. */
  async atApplication() {
    const arrived = (url) => url.href.startsWith(`${this.site.application.callback}?`);
    await this.page.waitForURL(arrived, { waitUntil: 'commit', timeout: 5_000 }).catch(() => {});
    const url = new URL(this.page.url());
    assert.ok(arrived(url), `at the application, not ${url}: ${await this.heading()}`);
    return url.searchParams;
  }
}

/** Runs `work` with a visitor, who leaves without complaints. */
export async function visit(site, options, work) {
  const visitor = await Visitor.come(site, options);
  try {
    await work(visitor);
  } catch (error) {
    visitor.complaints = [];
    await visitor.leave();
    throw error;
  }
  await visitor.leave();
}
