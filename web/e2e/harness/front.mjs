// @ts-check
/**
 * What stands between the cloud and the internet: passes everything on, counts HTTP's bytes on the wire (both heads and
 * bodies, HTTP/1.1), and can give another file than the cloud's.
 */
import { Agent, createServer, request as ask } from 'node:http';

/** @typedef {{ method: string, path: string, up: number, down: number, isOver: boolean }} Passed */

export class Front {
  /** @type {Passed[]} Every request, oldest first. */
  passed = [];
  /** @type {Map<string, (text: string) => string>} */
  #changed = new Map();
  /** @type {(() => void)[]} */
  #waiting = [];
  #server;
  /** The encodings that the browser takes, where it is to take fewer. @type {string | undefined} */
  encodings;
  #agent = new Agent({ keepAlive: true });

  /** @param {string} behind */
  constructor(behind) {
    this.#server = createServer({ keepAliveTimeout: 60_000 }, (incoming, outgoing) => {
      const { method = '', url = '', socket } = incoming;
      /** @type {Passed} */
      const one = { method, path: url, up: 0, down: 0, isOver: false };
      this.passed.push(one);
      const count = counter(socket);
      const progress = () => Object.assign(one, count());
      const change = this.#changed.get(url);
      const headers = { ...incoming.headers };
      if (this.encodings !== undefined) headers['accept-encoding'] = this.encodings;
      if (change) {
        headers['accept-encoding'] = 'identity';
        delete headers['if-none-match'];
      }
      const passing = ask(`${behind}${url}`, { method, headers, agent: this.#agent }, (answer) => {
        // Nothing of this server's own among the headers.
        outgoing.sendDate = false;
        outgoing.removeHeader('connection');
        if (change) {
          void text(answer).then((whole) => {
            const others = Object.entries(answer.headers).filter(
              ([name]) => !['etag', 'content-length'].includes(name),
            );
            outgoing.writeHead(answer.statusCode ?? 502, Object.fromEntries(others)).end(change(whole));
          });
          return;
        }
        outgoing.writeHead(answer.statusCode ?? 502, answer.rawHeaders).flushHeaders();
        progress();
        answer.on('data', (piece) => {
          outgoing.write(piece);
          progress();
        });
        answer.on('end', () => outgoing.end());
        answer.on('error', () => outgoing.destroy());
      });
      passing.on('error', () => outgoing.destroy());
      outgoing.on('close', () => {
        progress();
        one.isOver = true;
        passing.destroy();
        for (const wake of this.#waiting.splice(0)) wake();
      });
      incoming.pipe(passing);
    });
  }

  /** @param {string} behind The server's address. */
  static async open(behind) {
    const front = new Front(behind);
    await new Promise((resolve) => front.#server.listen(0, '127.0.0.1', () => resolve(undefined)));
    return front;
  }

  get url() {
    const { port } = /** @type {import('node:net').AddressInfo} */ (this.#server.address());
    return `http://127.0.0.1:${port}`;
  }

  /** From now on this path's answer is changed. @param {string} path @param {(text: string) => string} how */
  change(path, how) {
    this.#changed.set(path, how);
  }

  /** Waits until such a request was answered, from now on or before. @param {(one: Passed) => boolean} which */
  answered = (which) => this.#until(() => this.passed.some((one) => one.isOver && which(one)));

  /** Waits until all requests are answered, but for streams, which stay open. */
  quiet = () => this.#until(() => this.passed.every((one) => one.isOver || one.path.endsWith('/events')));

  /** @param {() => boolean} so */
  async #until(so) {
    while (!so()) await new Promise((resolve) => this.#waiting.push(() => resolve(undefined)));
  }

  close() {
    this.#agent.destroy();
    return /** @type {Promise<void>} */ (
      new Promise((resolve) => {
        this.#server.closeAllConnections();
        this.#server.close(() => resolve());
      })
    );
  }
}

/** @type {WeakMap<import('node:net').Socket, { up: number, down: number }>} */
const counted = new WeakMap();

/** One request after the other on a connection: what has gone over it since the last one is this one's.
 * @param {import('node:net').Socket} socket */
function counter(socket) {
  const start = counted.get(socket) ?? { up: 0, down: 0 };
  return () => {
    const now = { up: socket.bytesRead, down: socket.bytesWritten };
    counted.set(socket, now);
    return { up: now.up - start.up, down: now.down - start.down };
  };
}

/** @param {import('node:http').IncomingMessage} answer */
async function text(answer) {
  const pieces = [];
  for await (const piece of answer) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}
