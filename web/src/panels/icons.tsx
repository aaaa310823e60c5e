import type { ReactNode } from "react";

const icon = (children: ReactNode): ReactNode => (
  <svg viewBox="0 0 16 16" width="16" height="16" fill="none" stroke="currentColor" strokeWidth="1.5" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true">
    {children}
  </svg>
);

export const icons = {
  play: icon(<path d="M4.5 3.2v9.6L12.5 8z" fill="currentColor" stroke="none" />),
  stop: icon(<rect x="4" y="4" width="8" height="8" rx="1.5" fill="currentColor" stroke="none" />),
  plus: icon(<path d="M8 3.5v9M3.5 8h9" />),
  close: icon(<path d="M4.5 4.5l7 7M11.5 4.5l-7 7" />),
  queue: icon(<path d="M3 4h10M3 8h10M3 12h6" />),
  menu: icon(<path d="M2.5 4.5h11M2.5 8h11M2.5 11.5h11" />),
  search: icon(<><circle cx="7" cy="7" r="4" /><path d="M10 10l3.2 3.2" /></>),
  fit: icon(<path d="M3 6V3h3M10 3h3v3M13 10v3h-3M6 13H3v-3" />),
  gear: icon(<><circle cx="8" cy="8" r="2.2" /><path d="M8 1.8v2M8 12.2v2M1.8 8h2M12.2 8h2M3.6 3.6L5 5M11 11l1.4 1.4M12.4 3.6L11 5M5 11l-1.4 1.4" /></>),
  folder: icon(<path d="M2 4.5h4l1.5 1.5H14v6.5H2z" />),
  trash: icon(<path d="M3 4.5h10M6.5 4.5V3h3v1.5M4.5 4.5l.6 8.5h5.8l.6-8.5" />),
  up: icon(<path d="M8 12.5v-9M4.5 7L8 3.5 11.5 7" />),
  top: icon(<path d="M3.5 2.5h9M8 13.5v-8M4.5 9L8 5.5 11.5 9" />),
  grid: icon(<path d="M2.5 2.5h4.5v4.5H2.5zM9 2.5h4.5v4.5H9zM2.5 9h4.5v4.5H2.5zM9 9h4.5v4.5H9z" />),
  back: icon(<path d="M6.5 3.5L3 7l3.5 3.5M3 7h6a4 4 0 0 1 0 8H7" />),
  left: icon(<path d="M10 3.5L5.5 8l4.5 4.5" />),
  right: icon(<path d="M6 3.5L10.5 8 6 12.5" />),
} as const;
