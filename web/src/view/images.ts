/** Pictures for the canvas, fetched once and decoded before they are drawn. */

export class Images {
  private readonly images = new Map<string, HTMLImageElement | "loading" | "failed">();

  constructor(private readonly redraw: () => void) {}

  /** The picture when it is ready; asking starts the fetch. */
  get(url: string): HTMLImageElement | null {
    const known = this.images.get(url);
    if (known === "loading" || known === "failed") return null;
    if (known) return known;
    this.images.set(url, "loading");
    const image = new Image();
    image.src = url;
    image.decode().then(
      () => {
        this.images.set(url, image);
        this.redraw();
      },
      () => {
        this.images.set(url, "failed");
        this.redraw();
      },
    );
    if (this.images.size > 400) {
      for (const [key, value] of this.images) {
        if (value !== "loading") this.images.delete(key);
        if (this.images.size <= 300) break;
      }
    }
    return null;
  }

  failed(url: string): boolean {
    return this.images.get(url) === "failed";
  }
}
