/** The websocket: keeps trying, says when it is lost, and lets the owner catch up when it is back. */

import { type Message, parseBinary, parseText } from "./protocol";

export type Connection = "connecting" | "open" | "lost";

export class Socket {
  connection: Connection = "connecting";
  private socket: WebSocket | null = null;
  private attempts = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private wasOpen = false;

  constructor(
    private readonly url: string,
    private readonly on: { message(message: Message): void; connection(state: Connection, again: boolean): void },
  ) {}

  open(): void {
    const socket = new WebSocket(this.url);
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      // The server takes this only as the very first message.
      socket.send(JSON.stringify({ type: "feature_flags", data: { supports_preview_metadata: true } }));
      this.attempts = 0;
      this.set("open");
      this.wasOpen = true;
    };
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      const message = typeof data === "string" ? parseText(data) : parseBinary(data);
      if (message) this.on.message(message);
    };
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.set("lost");
      this.timer = setTimeout(() => this.open(), Math.min(5000, 300 * 1.6 ** this.attempts++));
    };
  }

  close(): void {
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  private set(state: Connection): void {
    if (state === this.connection && state !== "open") return;
    this.connection = state;
    this.on.connection(state, state === "open" && this.wasOpen);
  }
}
