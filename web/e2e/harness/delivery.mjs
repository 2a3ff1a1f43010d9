// @ts-check
/**
 * In the page, before it: notes when Web Bluetooth is asked for what, when the receipt goes to the cloud and when it is
 * accepted. `phases()` tells how long each phase of the last delivery took, ms.
 */
export function watchDelivery() {
  /** @type {{ what: string, began: number, ended: number }[]} */
  let noted = [];
  let heard = 0;
  let accepted = 0;
  const now = () => performance.now();

  /** @param {any} prototype @param {string} name */
  function note(prototype, name) {
    const original = prototype[name];
    prototype[name] = async function (/** @type {unknown[]} */ ...words) {
      if (name === 'requestDevice') noted = [];
      const one = { what: name, began: now(), ended: Number.NaN };
      noted.push(one);
      try {
        return await original.apply(this, words);
      } finally {
        one.ended = now();
      }
    };
  }
  const classes = /** @type {any} */ (globalThis);
  note(classes.Bluetooth.prototype, 'requestDevice');
  for (const name of ['connect', 'getPrimaryService']) note(classes.BluetoothRemoteGATTServer.prototype, name);
  note(classes.BluetoothRemoteGATTService.prototype, 'getCharacteristics');
  const characteristic = classes.BluetoothRemoteGATTCharacteristic.prototype;
  for (const name of ['readValue', 'startNotifications', 'stopNotifications', 'writeValueWithResponse'])
    note(characteristic, name);
  const listen = characteristic.addEventListener;
  characteristic.addEventListener = function (
    /** @type {any} */ kind,
    /** @type {any} */ listener,
    /** @type {any} */ how,
  ) {
    if (kind === 'characteristicvaluechanged') listen.call(this, kind, () => (heard = now()));
    listen.call(this, kind, listener, how);
  };
  const ask = globalThis.fetch;
  let upload = { began: 0, heard: 0 };
  globalThis.fetch = (path, how) => {
    // The last that was heard of the card before is the receipt.
    if (String(path).endsWith('/receipt')) upload = { began: now(), heard };
    return ask(path, how);
  };
  document.addEventListener('DOMContentLoaded', () => {
    new MutationObserver(() => {
      if (accepted < upload.began && document.querySelector('[data-state="accepted"]')) accepted = now();
    }).observe(document.body, { subtree: true, childList: true, attributes: true });
  });

  /** @param {string} what */
  const first = (what) => noted.find((one) => one.what === what) ?? { began: Number.NaN, ended: Number.NaN };
  classes.phases = () => {
    const writes = noted.filter(({ what }) => what === 'writeValueWithResponse');
    // Hello and CARD; with the third write the delivery begins.
    const [hello, , deliver] = writes;
    const chosen = first('requestDevice');
    const connected = first('connect').ended;
    return {
      'the chooser, answered at once': chosen.ended - chosen.began,
      connect: connected - first('connect').began,
      discover: first('getCharacteristics').ended - connected,
      'what the card is, and to hear it': (hello?.began ?? Number.NaN) - first('getCharacteristics').ended,
      'hello and CARD': (deliver?.began ?? Number.NaN) - (hello?.began ?? Number.NaN),
      'the token, the meter, the receipt': upload.heard - (deliver?.began ?? Number.NaN),
      'let the card go': upload.began - upload.heard,
      'upload until Accepted': accepted - upload.began,
      '**connected to Accepted**': accepted - connected,
      '**chooser to Accepted**': accepted - chosen.began,
    };
  };
}
