//! A Bluetooth host stack over HCI H4 on TCP: GATT peripheral of the card and central of the phone
