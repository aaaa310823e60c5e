/** The panels that open seldom: one file of their own, fetched when the first of them is wanted. */

export { Conflict } from "./Conflict";
export { Gallery } from "./Gallery";
export { Lightbox } from "./Lightbox";
export { MaskEditor } from "./MaskEditor";
export { Memory } from "./Memory";
export { Settings } from "./Settings";
export { ShownWidgets } from "./ShownWidgets";
export { Shortcuts } from "./Shortcuts";
export { Templates } from "./Templates";
export { Versions } from "./Versions";
export { Tour } from "./Tour";
