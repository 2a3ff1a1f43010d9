/**
 * A phone's side of docs/protocols/link.md by hand, from the page's text alone: enough to ask a card what it says of
 * itself. It shares no code with the product, so it tests the chain below the product's page.
 */
const SERVICE = '5f9b8ec7-76b8-4120-a451-b3c0a3849625';
const INFO = '78c37e22-1738-4015-a82f-404a9abb0ae6';
const REQUEST = '76f73fe2-de76-46d8-8b31-e3c4cf7c3a54';
const RESPONSE = '67445778-281a-4e42-b4aa-0d4514196b75';
const BOND = '1e02267d-5a82-4e50-bb65-cbaa889e88d7';

const HELLO = 0x80;
const [DATA, ACKNOWLEDGES, LAST, FIRST] = [0x08, 0x04, 0x02, 0x01];
const [REQUEST_KIND, RESPONSE_KIND, CARD, OK] = [1, 2, 1, 0];
const FRAME_HEAD = 11;
const CRC_LENGTH = 4;
const WINDOW = 4;

const OPERATION_MAX_MS = 15_000;
/** From a failed operation to the event that the link has ended: longer than any stack was seen to take. */
const SETTLE_MAX_MS = 1_500;

let device;
let characteristics;
/** Values indicated and not taken yet, and who waits for one. */
let values = [];
let taker = null;

/** Outcome of an operation: a value, an error, or unknown. A promise of Web Bluetooth alone may never settle. */
async function bounded(operation, waitMs = OPERATION_MAX_MS) {
  const over = new AbortController();
  const lost = new Promise((_, reject) => {
    const end = (why) => () => reject(new Error(`unknown: ${why}`));
    device.addEventListener('gattserverdisconnected', end('the link has gone'), { signal: over.signal });
    const timer = setTimeout(end('no answer in time'), waitMs);
    over.signal.addEventListener('abort', () => clearTimeout(timer));
  });
  operation.catch(() => {});
  try {
    return await Promise.race([operation, lost]);
  } finally {
    over.abort();
  }
}

async function find() {
  device = await navigator.bluetooth.requestDevice({ filters: [{ services: [SERVICE] }] });
  device.addEventListener('gattserverdisconnected', () => show('disconnected'));
  return device.name;
}

/** Connects, discovers, and subscribes before anything else. */
async function open() {
  const server = await bounded(device.gatt.connect());
  const service = await bounded(server.getPrimaryService(SERVICE));
  characteristics = {};
  for (const [name, uuid] of Object.entries({ INFO, REQUEST, RESPONSE, BOND })) {
    characteristics[name] = await bounded(service.getCharacteristic(uuid));
  }
  [values, taker] = [[], null];
  characteristics.RESPONSE.addEventListener('characteristicvaluechanged', (event) =>
    arrived(bytesOf(event.target.value)),
  );
  await bounded(characteristics.RESPONSE.startNotifications());
  show('connected');
}

/** After a failure: `connected` may lie for a moment, and connecting would then succeed on the dead link. */
async function settle() {
  if (device.gatt.connected) await ended(SETTLE_MAX_MS);
  if (device.gatt.connected) {
    const gone = ended(SETTLE_MAX_MS);
    device.gatt.disconnect();
    await gone;
  }
}

function ended(waitMs) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, waitMs);
    const done = () => (clearTimeout(timer), resolve());
    device.addEventListener('gattserverdisconnected', done, { once: true });
  });
}

const readInfo = async () => parseInfo(bytesOf(await bounded(characteristics.INFO.readValue())));
const readBond = async () => hex(bytesOf(await bounded(characteristics.BOND.readValue())));

/**
 * Section 2: a hello of 10 bytes, answered with 11. Others may come first: the link to a bonded card outlives the page's
 * disconnect(), and what was under way on it arrives after the next connect().
 */
async function hello(valueMax) {
  const session = crypto.getRandomValues(new Uint8Array(4));
  await write([HELLO, 1, 1, valueMax >> 8, valueMax & 0xff, WINDOW, ...session]);
  let answer;
  do answer = await nextValue();
  while (answer[0] !== HELLO || hex(answer.slice(7)) !== hex(session));
  return { version: answer[1], valueMax: number(answer, 2, 2), messageMax: number(answer, 4, 2), window: answer[6] };
}

/** Section 4: operation CARD in one segment, its answer in as many as it needs. */
async function askCard() {
  const id = crypto.getRandomValues(new Uint8Array(8));
  const frame = withCrc([REQUEST_KIND, CARD, ...id, OK]);
  await write([DATA | FIRST | LAST, 0, 0, frame.length, ...frame]);
  const { message, segments } = await nextMessage();
  const body = message.slice(FRAME_HEAD, -CRC_LENGTH);
  if (hex(withCrc(message.slice(0, -CRC_LENGTH))) !== hex(message)) throw new Error('the CRC-32 does not hold');
  if (message[0] !== RESPONSE_KIND || message[1] !== CARD) throw new Error(`no answer to CARD: ${hex(message)}`);
  if (hex(message.slice(2, 10)) !== hex(id)) throw new Error('the answer is to another request');
  return { status: message[10], segments, ...parseCard(body) };
}

/** Section 3: data segments in order, acknowledged at half of the window and at the last. */
async function nextMessage() {
  let [message, length, segments, unacknowledged] = [[], 0, 0, 0];
  for (;;) {
    const value = await nextValue();
    const flags = value[0];
    if (!(flags & DATA)) {
      if (flags !== ACKNOWLEDGES) throw new Error(`not a data segment: ${hex(value)}`);
      continue;
    }
    if (value[1] !== segments) throw new Error(`sequence ${value[1]} instead of ${segments}`);
    let at = flags & ACKNOWLEDGES ? 3 : 2;
    if (flags & FIRST) [length, at] = [number(value, at, 2), at + 2];
    message.push(...value.slice(at));
    segments += 1;
    unacknowledged += 1;
    if (flags & LAST || unacknowledged >= WINDOW / 2) {
      await write([ACKNOWLEDGES, value[1]]);
      unacknowledged = 0;
    }
    if (flags & LAST) {
      if (message.length !== length) throw new Error(`${message.length} bytes instead of ${length}`);
      return { message: Uint8Array.from(message), segments };
    }
  }
}

function arrived(value) {
  if (taker) taker(value);
  else values.push(value);
}

function nextValue() {
  if (values.length > 0) return values.shift();
  const taken = new Promise((resolve) => {
    taker = (value) => ((taker = null), resolve(value));
  });
  return bounded(taken);
}

const write = (bytes) => bounded(characteristics.REQUEST.writeValueWithResponse(Uint8Array.from(bytes)));

function parseInfo(bytes) {
  return {
    length: bytes.length,
    versions: [bytes[0], bytes[1]],
    valueMax: number(bytes, 2, 2),
    messageMax: number(bytes, 4, 2),
    window: bytes[6],
    needsPairing: (bytes[7] & 4) !== 0,
    card: hex(bytes.slice(8)),
  };
}

function parseCard(body) {
  return { firmware: [...body.slice(0, 3)].join('.'), meterKnown: body[3] === 1, meter: hex(body.slice(4, 11)) };
}

function withCrc(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return Uint8Array.from([...bytes, ...[24, 16, 8, 0].map((shift) => (~crc >>> shift) & 0xff)]);
}

const number = (bytes, at, length) => bytes.slice(at, at + length).reduce((sum, byte) => sum * 256 + byte, 0);
const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
const bytesOf = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

function show(state) {
  document.querySelector('#state').textContent = state;
}

document.querySelector('#find').addEventListener('click', async () => {
  try {
    show(`found ${await find()}`);
  } catch (error) {
    show(`${error.name}: ${error.message}`);
  }
});

globalThis.link = {
  find,
  open,
  settle,
  readInfo,
  readBond,
  hello,
  askCard,
  connected: () => device.gatt.connected,
  leave: () => device.gatt.disconnect(),
};
