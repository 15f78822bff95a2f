// SPDX-License-Identifier: GPL-2.0

//! States of a TD and of a vCPU.

macro_rules! states {
    ($(#[$attr:meta])* $type:ident {
        $($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal;)*
    }) => {
        $(#[$attr])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $type {
            $($(#[$doc])* $variant = $number,)*
        }

        impl $type {
            /// Creates a state from its number.
            #[inline]
            pub const fn from_raw(raw: u64) -> Option<Self> {
                match raw {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// Returns the number of the state.
            #[inline]
            pub const fn raw(self) -> u64 {
                self as u64
            }

            /// Returns the name of the state.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

states! {
    /// Life cycle of a TD, field LIFECYCLE_STATE of the TDR: what its KeyID and pages allow.
    Lifecycle {
        /// A KeyID is assigned, its key is not configured on all packages.
        HkidAssigned = 0, "TD_HKID_ASSIGNED";
        /// The key is configured; the TD can be built and run.
        KeysConfigured = 1, "TD_KEYS_CONFIGURED";
        /// No vCPU is associated any more; caches have to be written back.
        Blocked = 2, "TD_BLOCKED";
        /// The KeyID is free again; pages can be reclaimed.
        Teardown = 3, "TD_TEARDOWN";
    }
}

states! {
    /// Operation state of a TD, field OP_STATE of the TDCS.
    OpState {
        /// Before TDH.MNG.INIT.
        Uninitialized = 0, "UNINITIALIZED";
        /// Being built.
        Initialized = 1, "INITIALIZED";
        /// Measured and ready to run.
        Runnable = 2, "RUNNABLE";
        /// Being exported while it runs.
        LiveExport = 3, "LIVE_EXPORT";
        /// Being exported, paused.
        PausedExport = 4, "PAUSED_EXPORT";
        /// Exported.
        PostExport = 5, "POST_EXPORT";
        /// Memory is being imported.
        MemoryImport = 6, "MEMORY_IMPORT";
        /// State is being imported.
        StateImport = 7, "STATE_IMPORT";
        /// Imported, not committed.
        PostImport = 8, "POST_IMPORT";
        /// Running while memory is imported.
        LiveImport = 9, "LIVE_IMPORT";
        /// The import failed.
        FailedImport = 10, "FAILED_IMPORT";
    }
}

states! {
    /// State of a vCPU, field VCPU_STATE of the TDVPS.
    VcpuState {
        /// Before TDH.VP.INIT.
        Uninitialized = 0, "VCPU_UNINITIALIZED";
        /// Can be entered.
        Ready = 2, "VCPU_READY";
        /// In TDX non-root mode.
        Active = 4, "VCPU_ACTIVE";
        /// Cannot be entered any more.
        Disabled = 8, "VCPU_DISABLED";
        /// Being imported.
        Import = 16, "VCPU_IMPORT";
    }
}
