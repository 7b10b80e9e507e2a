"""The actions that OCPP names, by version. Rules: a table.

OCPP-J 4.3 tells an action that is not known (NotImplemented) from one that is known and not done (NotSupported).
"""

from typing import Final, Literal

Version = Literal["2.0.1", "2.1"]

_OF_2_0_1: Final = frozenset(
    """
    Authorize BootNotification CancelReservation CertificateSigned ChangeAvailability ClearCache
    ClearChargingProfile ClearDisplayMessage ClearVariableMonitoring ClearedChargingLimit CostUpdated
    CustomerInformation DataTransfer DeleteCertificate FirmwareStatusNotification Get15118EVCertificate
    GetBaseReport GetCertificateStatus GetChargingProfiles GetCompositeSchedule GetDisplayMessages
    GetInstalledCertificateIds GetLocalListVersion GetLog GetMonitoringReport GetReport GetTransactionStatus
    GetVariables Heartbeat InstallCertificate LogStatusNotification MeterValues NotifyChargingLimit
    NotifyCustomerInformation NotifyDisplayMessages NotifyEVChargingNeeds NotifyEVChargingSchedule NotifyEvent
    NotifyMonitoringReport NotifyReport PublishFirmware PublishFirmwareStatusNotification ReportChargingProfiles
    RequestStartTransaction RequestStopTransaction ReservationStatusUpdate ReserveNow Reset
    SecurityEventNotification SendLocalList SetChargingProfile SetDisplayMessage SetMonitoringBase
    SetMonitoringLevel SetNetworkProfile SetVariableMonitoring SetVariables SignCertificate StatusNotification
    TransactionEvent TriggerMessage UnlockConnector UnpublishFirmware UpdateFirmware
    """.split()
)
_SINCE_2_1: Final = frozenset(
    """
    AFRRSignal AdjustPeriodicEventStream BatterySwap ChangeTransactionTariff ClearDERControl ClearTariffs
    ClosePeriodicEventStream GetCertificateChainStatus GetDERControl GetPeriodicEventStream GetTariffs
    NotifyAllowedEnergyTransfer NotifyDERAlarm NotifyDERStartStop NotifyPeriodicEventStream NotifyPriorityCharging
    NotifySettlement NotifyWebPaymentStarted OpenPeriodicEventStream PullDynamicScheduleUpdate ReportDERControl
    RequestBatterySwap SetDERControl SetDefaultTariff UpdateDynamicSchedule UsePriorityCharging VatNumberValidation
    """.split()
)
KNOWN: Final[dict[Version, frozenset[str]]] = {"2.0.1": _OF_2_0_1, "2.1": _OF_2_0_1 | _SINCE_2_1}
SUBPROTOCOLS: Final[dict[str, Version]] = {"ocpp2.1": "2.1", "ocpp2.0.1": "2.0.1"}
