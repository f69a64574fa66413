// What a program does at the provider: begin a login, redeem its code, compute TOTP codes.
import { createHash, createHmac, randomBytes } from 'node:crypto';

/** What must never be read in a log; the helpers below add to it. */
export const secrets = new Set();

export const verifier = randomBytes(48).toString('base64url');
const challenge = createHash('sha256').update(verifier).digest('base64url');

/** The address that begins a login at the dashboard's client. */
export function loginUrl(site, more = {}) {
  return `${site.server.issuer}/auth?` + new URLSearchParams({
    client_id: 'netbird-dashboard',
    redirect_uri: site.application.callback,
    response_type: 'code',
    scope: 'openid profile email groups',
    code_challenge: challenge,
    code_challenge_method: 'S256',
    ...more,
  });
}

/** Remembers what the answer holds. */
async function noting(answer) {
  const { json } = await answer;
  for (const name of ['access_token', 'id_token', 'refresh_token', 'device_code'])
    if (json[name]) secrets.add(json[name]);
  return answer;
}

export function redeem(site, code) {
  secrets.add(code).add(verifier);
  return noting(site.server.form('/token', {
    grant_type: 'authorization_code',
    client_id: 'netbird-dashboard',
    redirect_uri: site.application.callback,
    code,
    code_verifier: verifier,
  }));
}

export const startDevice = (site) =>
  noting(site.server.form('/device/code', { client_id: 'netbird-cli', scope: 'openid email' }));

export const pollDevice = (site, device) => noting(site.server.form('/device/token', {
  grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
  client_id: 'netbird-cli',
  device_code: device,
}));

function base32(text) {
  let bits = '';
  for (const letter of text)
    bits += 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0');
  return Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
}

/** RFC 6238 with SHA-1, six digits, 30 s; `ahead` steps from now. */
export function totp(secret, ahead = 0) {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + ahead));
  const mac = createHmac('sha1', base32(secret)).update(counter).digest();
  const at = mac[19] & 15;
  return String((mac.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}
