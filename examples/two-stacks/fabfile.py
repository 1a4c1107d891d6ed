from pathlib import Path

from deploy_lib import host_collection

ns = host_collection(Path(__file__).parent)
