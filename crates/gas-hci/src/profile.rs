//! The card's attributes and advertisement (link.md section 1).
//!
//! The table is built by hand: the stack's macros keep the values in statics, which cannot be made a
//! second time when the controller comes back.

use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use trouble_host::prelude::*;

use crate::transport::HciError;

/// GAP and GATT, the service, Info, Request, Response with its configuration, Bond.
const ATTRIBUTES: usize = GAP_SERVICE_ATTRIBUTE_COUNT + 1 + 2 + 2 + 3 + 2;
/// Phones whose subscription is remembered: every bonded one, and the one that is there.
const PHONES: usize = crate::bonds::BONDS_MAX + 1;

/// The longest value: link.md offers 244 bytes.
pub(crate) type LongValue = heapless::Vec<u8, { gas_link::VALUE_MAX }>;

pub(crate) type Server<'values> =
    AttributeServer<'values, NoopRawMutex, DefaultPacketPool, ATTRIBUTES, PHONES>;

/// Room for the long values.
#[derive(Debug)]
pub(crate) struct Room {
    request: [u8; gas_link::VALUE_MAX],
    response: [u8; gas_link::VALUE_MAX],
}

impl Room {
    pub(crate) const fn new() -> Self {
        Self {
            request: [0; gas_link::VALUE_MAX],
            response: [0; gas_link::VALUE_MAX],
        }
    }
}

/// The server and the handles of its characteristics.
pub(crate) struct Profile<'values> {
    pub(crate) server: Server<'values>,
    pub(crate) info: Characteristic<[u8; 16]>,
    pub(crate) request: Characteristic<LongValue>,
    pub(crate) response: Characteristic<LongValue>,
}

impl<'values> Profile<'values> {
    pub(crate) fn new(name: &'values str, room: &'values mut Room) -> Result<Self, HciError> {
        let mut table = AttributeTable::new();
        let gap = GapConfig::Peripheral(PeripheralConfig {
            name,
            appearance: &appearance::sensor::GENERIC_SENSOR,
        });
        gap.build(&mut table)
            .map_err(|cause| HciError::Stack(cause.to_owned()))?;
        let uuid = |uuid: u128| Uuid::from(uuid.to_le_bytes());
        let mut service = table.add_service(Service::new(uuid(gas_link::SERVICE)));
        let info = service
            .add_characteristic_small(uuid(gas_link::INFO), [CharacteristicProp::Read], [0_u8; 16])
            .build();
        let request = service
            .add_characteristic(
                uuid(gas_link::REQUEST),
                [CharacteristicProp::Write],
                LongValue::new(),
                &mut room.request,
            )
            .build();
        let response = service
            .add_characteristic(
                uuid(gas_link::RESPONSE),
                [CharacteristicProp::Indicate],
                LongValue::new(),
                &mut room.response,
            )
            .build();
        service
            .add_characteristic_small(uuid(gas_link::BOND), [CharacteristicProp::Read], 1_u8)
            .read_permission(PermissionLevel::EncryptionRequired)
            .build();
        service.build();
        Ok(Self {
            server: AttributeServer::new(table),
            info,
            request,
            response,
        })
    }

    pub(crate) fn set_info(&self, value: &[u8; 16]) {
        if self.server.table().set(&self.info, value).is_err() {
            tracing::warn!("Info could not be changed");
        }
    }
}

/// Advertisement and scan response: flags and service in the one, the name in the other.
pub(crate) struct Advertised {
    data: ([u8; 31], usize),
    response: ([u8; 31], usize),
}

impl Advertised {
    pub(crate) fn new(name: &str) -> Result<Self, HciError> {
        let (mut data, mut response) = ([0; 31], [0; 31]);
        let fault = |error| HciError::Stack(format!("cannot advertise: {error:?}"));
        let data_length = AdStructure::encode_slice(
            &[
                AdStructure::Flags(LE_GENERAL_DISCOVERABLE | BR_EDR_NOT_SUPPORTED),
                AdStructure::CompleteServiceUuids128(&[gas_link::SERVICE.to_le_bytes()]),
            ],
            &mut data,
        )
        .map_err(fault)?;
        let response_length = AdStructure::encode_slice(
            &[AdStructure::CompleteLocalName(name.as_bytes())],
            &mut response,
        )
        .map_err(fault)?;
        Ok(Self {
            data: (data, data_length),
            response: (response, response_length),
        })
    }

    pub(crate) fn as_legacy(&self) -> Advertisement<'_> {
        Advertisement::ConnectableScannableUndirected {
            adv_data: self.data.0.get(..self.data.1).unwrap_or(&[]),
            scan_data: self.response.0.get(..self.response.1).unwrap_or(&[]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_can_be_built_again_and_holds_all() {
        for _ in 0..2 {
            let mut room = Room::new();
            let profile = Profile::new("Pilotlight-0001", &mut room).unwrap();
            profile.set_info(&[7; 16]);
            assert_eq!(profile.server.table().get(&profile.info).unwrap(), [7; 16]);
            assert_eq!(profile.server.table().len(), ATTRIBUTES);
            assert_eq!(
                profile.response.cccd_handle,
                Some(profile.response.handle + 1)
            );
        }
    }

    #[test]
    fn a_name_too_long_is_refused() {
        assert!(Advertised::new(&"x".repeat(29)).is_ok());
        assert!(Advertised::new(&"x".repeat(30)).is_err());
        assert!(Profile::new(&"x".repeat(23), &mut Room::new()).is_err());
    }
}
