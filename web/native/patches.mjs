// What the projects that Capacitor makes lack. Each may be applied again, and fails where it finds nothing to change: a
// newer Capacitor makes them otherwise, and somebody must look.

/** Without them the plugin asks for the phone's location. Older Android finds no Bluetooth device without location. */
const PERMISSIONS = `
    <uses-permission android:name="android.permission.ACCESS_COARSE_LOCATION" android:maxSdkVersion="30" />
    <uses-permission android:name="android.permission.ACCESS_FINE_LOCATION" android:maxSdkVersion="30" />
    <uses-permission
        android:name="android.permission.BLUETOOTH_SCAN"
        android:usesPermissionFlags="neverForLocation"
        tools:targetApi="s" />
`;

/** @param {string} manifest AndroidManifest.xml */
export function androidManifest(manifest) {
  if (manifest.includes('neverForLocation')) return manifest;
  return [
    ['<manifest xmlns:android=', '<manifest xmlns:tools="http://schemas.android.com/tools" xmlns:android='],
    // A phone's key and its vends stay on that phone.
    ['android:allowBackup="true"', 'android:allowBackup="false"'],
    ['</manifest>', `${PERMISSIONS}</manifest>`],
  ].reduce(replaced, manifest);
}

/** The languages are what the page is told that the phone speaks: an iPhone names those of the app only. */
const KEYS = `	<key>NSBluetoothAlwaysUsageDescription</key>
	<string>用蓝牙连接燃气表上的卡。Bluetooth reaches the card in your gas meter.</string>
	<key>CFBundleLocalizations</key>
	<array>
		<string>zh-Hans</string>
		<string>en</string>
	</array>
`;

/** @param {string} plist Info.plist */
export function iosInfo(plist) {
  if (plist.includes('NSBluetoothAlwaysUsageDescription')) return plist;
  return replaced(plist, ['</dict>\n</plist>', `${KEYS}</dict>\n</plist>`]);
}

/** @param {string} text @param {string[]} change */
function replaced(text, [from = '', to = '']) {
  if (text.split(from).length !== 2) throw new Error(`the project has not exactly one ${from.trim()}`);
  return text.replace(from, () => to);
}
