// @ts-check
// Makes the native projects anew, or brings them up to date: docs/native-shell.md.
import { execFileSync } from 'node:child_process';
import { access, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { parseArgs } from 'node:util';

import { androidManifest, iosInfo } from './patches.mjs';

const here = import.meta.dirname;
const PLATFORMS = /** @type {const} */ ({
  android: { file: 'android/app/src/main/AndroidManifest.xml', patch: androidManifest },
  ios: { file: 'ios/App/App/Info.plist', patch: iosInfo },
});

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    cloud: { type: 'string' },
    id: { type: 'string', default: 'org.example.pilotlight' },
    name: { type: 'string', default: '燃气充值' },
  },
});
const usage = 'usage: npm run shell -- --cloud https://gas.example.org [--id ID] [--name NAME] android|ios...';
const wanted = positionals.filter((one) => one in PLATFORMS);
if (!values.cloud || wanted.length === 0 || wanted.length < positionals.length) throw new Error(usage);

const cloud = new URL(values.cloud);
// A phone's own address is one of a developer, whose computer it is led to; all else is encrypted.
const isOwn = cloud.protocol === 'http:' && cloud.hostname === 'localhost';
if (cloud.protocol !== 'https:' && !isOwn) throw new Error(`${cloud.origin} is not https`);

const config = {
  appId: values.id,
  appName: values.name,
  webDir: 'www',
  server: {
    url: cloud.origin,
    cleartext: isOwn,
    // WeChat's cashier takes its customers in this window only (docs/native-shell.md); whatever is listed here may use
    // the phone's Bluetooth through the shell.
    allowNavigation: ['wx.tenpay.com'],
    errorPath: 'index.html',
  },
};
await writeFile(path.join(here, 'capacitor.config.json'), `${JSON.stringify(config, null, 2)}\n`);

for (const platform of /** @type {(keyof typeof PLATFORMS)[]} */ (wanted)) {
  const exists = await access(path.join(here, platform)).then(
    () => true,
    () => false,
  );
  execFileSync('npx', ['cap', exists ? 'sync' : 'add', platform], { cwd: here, stdio: 'inherit' });
  const { file, patch } = PLATFORMS[platform];
  await writeFile(path.join(here, file), patch(await readFile(path.join(here, file), 'utf8')));
}
