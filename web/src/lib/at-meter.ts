// What is done beyond the first look: at a meter, and to catch up afterwards.
export { catchUp } from './catch-up';
export { Card } from './link/card';
export { fetchAsks, passOn, visit } from './visit';
